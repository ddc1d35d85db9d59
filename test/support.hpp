#pragma once

// What the tests share: coroutine test bodies on every loop there is, and programs that must die.

#include <sys/resource.h>
#include <sys/single_threaded.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <source_location>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch_message.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/thread_context.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/inspect/task_view.hpp>
#include <levada/detail/task/handle_access.hpp>
#include <levada/loop/run.hpp>
#include <levada/loop/runtime.hpp>
#include <levada/task/defer.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/with_group.hpp>
#include <levada/testing.hpp>
#include <levada/testing/catch2.hpp>

#if defined(__SANITIZE_THREAD__)
#define LEVADA_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LEVADA_UNDER_TSAN 1
#endif
#endif

namespace test_support {

// The tasks of most tests share plain variables, so `levada::run` has one loop in them, unless the
// environment says otherwise. Tests of several loops make a runtime that has them.
inline const int one_loop = ::setenv("LEVADA_LOOPS", "1", 0);

/// LEVADA_LOOPS for a scope; null: unset, so that a runtime has the loops that it asks for.
class with_loops {
public:
    explicit with_loops(const char* value = nullptr) {
        if (const char* before = std::getenv("LEVADA_LOOPS")) before_ = before;
        set(value);
    }
    ~with_loops() { set(before_ ? before_->c_str() : nullptr); }
    with_loops(const with_loops&) = delete;
    with_loops& operator=(const with_loops&) = delete;

private:
    static void set(const char* value) {
        if (value) ::setenv("LEVADA_LOOPS", value, 1);
        else ::unsetenv("LEVADA_LOOPS");
    }
    std::optional<std::string> before_;
};

/// At the end of a scope the calling thread owns what it owned before. No other thread may be in the library.
class owned_as_before {
public:
    owned_as_before() noexcept : state_(ownership::all.state), one_thread_(__libc_single_threaded) {}
    ~owned_as_before() {
        // glibc clears its flag once only: where threads were started meanwhile it has to stay so.
        if (!one_thread_) __libc_single_threaded = 0;
        ownership::all.state = state_;
        ownership::mine = state_ == ownership::state_of::owned;
    }
    owned_as_before(const owned_as_before&) = delete;
    owned_as_before& operator=(const owned_as_before&) = delete;

protected:
    using ownership = levada::detail::ownership;

private:
    ownership::state_of state_;
    char one_thread_;
};

/// For a scope, the library takes the paths of a process whose threads share it: real atomics.
class as_if_threads_ran : owned_as_before {
public:
    as_if_threads_ran() noexcept {
        __libc_single_threaded = 0;
        ownership::all.state = ownership::state_of::ended;
    }
};

/// Catch2's assertions are for one thread at a time: while several run a test, each waits for its turn.
class asserting {
public:
    asserting() : turn_(mutex, std::defer_lock) {
        if (on_several_threads) turn_.lock();
    }
    static inline bool on_several_threads = false; // set while there is one
    static inline std::mutex mutex;

private:
    std::unique_lock<std::mutex> turn_;
};

template <class F>
std::optional<Catch::ScopedMessage> info(const Catch::SourceLineInfo& where, const F& write) {
    std::optional<Catch::ScopedMessage> message;
    if (asserting::on_several_threads) return message;
    std::ostringstream text;
    write(text);
    message.emplace(Catch::MessageBuilder("INFO", where, Catch::ResultWas::Info) << text.str());
    return message;
}

/// Runs the coroutine four times at once, each on a loop of its own, which its tasks do not leave, since they
/// share plain variables. No frame may be left.
template <class F>
void run_on_each_of_four_loops(const F& f) {
    const with_loops unset;
    const std::size_t before = levada::frame_pool::live();
    {
        levada::runtime rt({.loops = 4, .pinned = true});
        asserting::on_several_threads = true;
        const levada::defer alone([]() noexcept { asserting::on_several_threads = false; });
        static_cast<void>(rt.run([&]() -> levada::task<> {
            co_await levada::with_group([&](levada::task_group& g) -> levada::task<> {
                for (std::size_t i = 0; i < rt.size(); ++i)
                    g.go([&, i]() -> levada::task<> {
                        auto h = levada::spawn_on(rt.loop(i), f);
                        auto r = co_await h.join();
                        static_cast<void>(r);
                    });
                co_return;
            });
        }));
    }
    REQUIRE(levada::frame_pool::live() == before);
}

/// Runs a test's coroutine on virtual loops under 8 seeds, under 2 more with real atomics, and once on the
/// real loop. No frame may be left after any of them.
template <class F>
void run_everywhere(const F& f, levada::interleave where = levada::interleave::everywhere) {
    {
        INFO("on a virtual_loop");
        levada::testing::run_test(8, f, where);
    }
    {
        INFO("on a virtual_loop, as if the process had threads");
        as_if_threads_ran threads;
        levada::testing::run_test(2, f, where);
    }
    {
        INFO("on the event_loop");
        const std::size_t before = levada::frame_pool::live();
        static_cast<void>(levada::run(f));
        REQUIRE(levada::frame_pool::live() == before);
    }
}

/// How a program ended that ran in a process of its own.
struct death {
    bool aborted = false;
    std::string said; // on stderr

    [[nodiscard]] bool says(const std::string& text) const { return said.find(text) != std::string::npos; }
};

/// Runs `f()` in a child process.
template <class F>
death run_to_death(F&& f) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    std::fflush(stdout);
    std::fflush(stderr);
    const ::pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::close(ends[0]);
        ::dup2(ends[1], STDERR_FILENO);
        ::close(ends[1]);
        const ::rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        std::signal(SIGABRT, SIG_DFL); // Catch2 has put its own handler there
        f();
        ::_exit(0);
    }
    ::close(ends[1]);
    death d;
    char buffer[512];
    for (;;) {
        const ::ssize_t n = ::read(ends[0], buffer, sizeof buffer);
        if (n <= 0) break;
        d.said.append(buffer, static_cast<std::size_t>(n));
    }
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    d.aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    return d;
}

/// The same for a coroutine on a virtual loop, which leaves tasks only where they wait.
template <class F>
death run_task_to_death(const F& f) {
    return run_to_death([&f] {
        levada::virtual_loop loop(1, levada::interleave::parked);
        static_cast<void>(loop.run(f));
    });
}

/// What tasks expect that run on several threads at once. Catch2's assertions are for one thread at a time,
/// so what did not hold is told when the scope ends, which has to be after the threads have.
class expectations {
public:
    expectations() = default;
    ~expectations() {
        CHECK(expected_ > 0);
        for (const std::string& line : broken_) FAIL_CHECK("not so at " << line);
    }
    expectations(const expectations&) = delete;
    expectations& operator=(const expectations&) = delete;

    template <class T>
    void expect(const T& held, std::source_location where = std::source_location::current()) {
        const std::lock_guard guard(mutex_);
        ++expected_;
        if (!held) broken_.push_back(std::string(where.file_name()) + ":" + std::to_string(where.line()));
    }

private:
    std::mutex mutex_;
    std::size_t expected_ = 0;
    std::vector<std::string> broken_;
};

/// Whether a result has a value, and it is this one.
template <class T, class U>
[[nodiscard]] bool holds(const levada::result<T>& r, const U& value) {
    return r.has_value() && *r == value;
}

/// Whether a task of this handle is parked in an operation; asked on the loop that it runs on.
template <class T>
[[nodiscard]] bool is_parked(const levada::join_handle<T>& h) {
    return levada::detail::handle_access::block(h).state() == levada::detail::park_state::parked;
}

/// Yields until the task is parked or has ended.
template <class T>
levada::task<> until_parked(const levada::join_handle<T>& h) {
    while (!h.done() && !is_parked(h)) co_await levada::this_task::yield();
}

/// Whether all other tasks of the calling task's loop wait for something.
inline bool all_others_wait() {
    using namespace levada::detail;
    levada::executor& here = *levada::executor::current();
    const task_block* const self = this_thread().task;
    bool all = true;
    const auto look = [&](tree_node& n) {
        if (n.kind != node_kind::task) return;
        auto& task = static_cast<task_block&>(static_cast<task_node&>(n));
        if (&task == self || task.home() != &here || task.state() == park_state::ended) return;
        const task_view::doing what = look_at(task).what;
        if (what != task_view::doing::waiting && what != task_view::doing::joining) all = false;
    };
    tree_walk walk(here.root());
    while (walk.step(32, look)) {
    }
    return all;
}

/// Yields, once at least, until all other tasks of the loop wait for something, a timer too, or have ended.
/// For one task of a loop at a time: two would wait for each other.
inline levada::task<> until_all_parked() {
    do co_await levada::this_task::yield();
    while (!all_others_wait());
}

/// Appends its letter to a log when it is destroyed.
class mourner {
public:
    mourner(std::string& log, char letter) noexcept : log_(&log), letter_(letter) {}
    mourner(mourner&& other) noexcept : log_(other.log_), letter_(other.letter_) { other.log_ = nullptr; }
    mourner(const mourner&) = delete;
    mourner& operator=(const mourner&) = delete;
    ~mourner() {
        if (log_) log_->push_back(letter_);
    }

private:
    std::string* log_;
    char letter_;
};

} // namespace test_support

// Catch2's, each in its turn.
#undef CHECK
#undef CHECK_FALSE
#undef CHECK_THROWS_WITH
#undef REQUIRE
#undef FAIL_CHECK
#undef INFO
#define LEVADA_INTERNAL_ASSERT(...)                                                                          \
    do {                                                                                                     \
        const ::test_support::asserting INTERNAL_CATCH_UNIQUE_NAME(levada_turn);                             \
        __VA_ARGS__;                                                                                         \
    } while (false)
#define CHECK(...)                                                                                           \
    LEVADA_INTERNAL_ASSERT(                                                                                  \
        INTERNAL_CATCH_TEST("CHECK", ::Catch::ResultDisposition::ContinueOnFailure, __VA_ARGS__))
#define CHECK_FALSE(...) CHECK(!(__VA_ARGS__))
#define CHECK_THROWS_WITH(expr, matcher)                                                                     \
    LEVADA_INTERNAL_ASSERT(INTERNAL_CATCH_THROWS_STR_MATCHES(                                                \
        "CHECK_THROWS_WITH", ::Catch::ResultDisposition::ContinueOnFailure, matcher, expr))
#define REQUIRE(...)                                                                                         \
    LEVADA_INTERNAL_ASSERT(INTERNAL_CATCH_TEST("REQUIRE", ::Catch::ResultDisposition::Normal, __VA_ARGS__))
#define FAIL_CHECK(...)                                                                                      \
    LEVADA_INTERNAL_ASSERT(INTERNAL_CATCH_MSG("FAIL_CHECK", ::Catch::ResultWas::ExplicitFailure,             \
                                              ::Catch::ResultDisposition::ContinueOnFailure, __VA_ARGS__))
/// Without effect while several threads run a test.
#define INFO(...)                                                                                            \
    const auto INTERNAL_CATCH_UNIQUE_NAME(levada_info) =                                                     \
        ::test_support::info(CATCH_INTERNAL_LINEINFO, [&](auto& levada_out) { levada_out << __VA_ARGS__; })

#define LEVADA_INTERNAL_TEST_TASK_ALONE(BODY, NAME, WHERE)                                                   \
    static ::levada::task<> BODY();                                                                          \
    TEST_CASE(NAME) { ::test_support::run_everywhere(BODY, ::levada::interleave::WHERE); }                   \
    static ::levada::task<> BODY()

#define LEVADA_INTERNAL_TEST_TASK(BODY, NAME, WHERE)                                                         \
    static ::levada::task<> BODY();                                                                          \
    TEST_CASE(NAME ", on four loops", "[.four_loops]") { ::test_support::run_on_each_of_four_loops(BODY); }  \
    LEVADA_INTERNAL_TEST_TASK_ALONE(BODY, NAME, WHERE)

/// A test case whose body is a coroutine:
/// `TEST_TASK("a closed channel is ready") { ... co_await ch.recv(); ... }`
/// It is a second, hidden one too, which runs it on four loops at once: `test_sync "[.four_loops]"`. (In a
/// process of its own: where a second thread has used the library, nobody owns it any more.)
#define TEST_TASK(NAME)                                                                                      \
    LEVADA_INTERNAL_TEST_TASK(INTERNAL_CATCH_UNIQUE_NAME(levada_test_task_), NAME, everywhere)
/// The same for one that sets up a state step by step, and is wrong if others run between two steps.
#define TEST_TASK_STAGED(NAME)                                                                               \
    LEVADA_INTERNAL_TEST_TASK(INTERNAL_CATCH_UNIQUE_NAME(levada_test_task_), NAME, parked)
/// The same for one that measures what the whole process holds, so that it has to be alone.
#define TEST_TASK_ALONE(NAME)                                                                                \
    LEVADA_INTERNAL_TEST_TASK_ALONE(INTERNAL_CATCH_UNIQUE_NAME(levada_test_task_), NAME, parked)
