// Coroutines of others: our tasks await their awaitables, their coroutines await our operations and tasks.

#include "pipe_ends.hpp"

#include <support.hpp>

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::holds;

namespace {

/// Somebody else's thread, which resumes what it is given.
class their_thread {
public:
    their_thread() : thread_([this] { run(); }) {}
    ~their_thread() {
        give(nullptr);
        thread_.join();
    }
    void give(std::coroutine_handle<> h) {
        const std::lock_guard guard(mutex_);
        handles_.push_back(h);
        more_.notify_one();
    }
    /// Resumes nothing until it is let.
    void hold() { mutex_.lock(); }
    void let() { mutex_.unlock(); }

private:
    void run() {
        for (;;) {
            std::coroutine_handle<> h;
            {
                std::unique_lock guard(mutex_);
                more_.wait(guard, [this] { return !handles_.empty(); });
                h = handles_.front();
                handles_.pop_front();
            }
            if (!h) return;
            h.resume();
        }
    }
    std::mutex mutex_;
    std::condition_variable more_;
    std::deque<std::coroutine_handle<>> handles_;
    std::thread thread_;
};

struct on_their_thread {
    their_thread* where;
    int value;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const { where->give(h); }
    int await_resume() const noexcept { return value; }
};

enum class way { ready, refuses, elsewhere, itself, inline_resume, throws_before, throws_after };

struct by_another_way {
    way how;
    struct awaiter {
        way how;
        bool await_ready() const noexcept { return how == way::ready; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) const {
            if (how == way::inline_resume) {
                h.resume();
                return std::noop_coroutine();
            }
            if (how == way::throws_before) throw std::runtime_error("no");
            return h;
        }
        int await_resume() const {
            if (how == way::throws_after) throw std::runtime_error("later");
            return 7;
        }
    };
    awaiter operator co_await() const noexcept { return {how}; }
};
struct refusing {
    int n = 0;
};
auto operator co_await(refusing& r) noexcept {
    struct awaiter {
        refusing* r;
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<>) const noexcept { return ++r->n > 99; }
        std::unique_ptr<int> await_resume() const { return std::make_unique<int>(r->n); }
    };
    return awaiter{&r};
}

struct keeps_handle {
    std::coroutine_handle<>* to;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const noexcept { *to = h; }
    void await_resume() const noexcept {}
};

/// Somebody else's coroutine type, which knows nothing of levada. Its owner destroys it.
class theirs {
public:
    struct promise_type {
        theirs get_return_object() {
            return theirs(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        std::suspend_always final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() noexcept { thrown = std::current_exception(); }
        std::exception_ptr thrown;
    };
    theirs(theirs&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    theirs& operator=(theirs&&) = delete;
    ~theirs() { destroy(); }
    void start() const { handle_.resume(); }
    void destroy() {
        if (handle_) std::exchange(handle_, nullptr).destroy();
    }
    [[nodiscard]] bool done() const { return handle_.done(); }
    [[nodiscard]] bool threw() const { return handle_.promise().thrown != nullptr; }

private:
    explicit theirs(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}
    std::coroutine_handle<promise_type> handle_;
};

task<int> doubled(channel<int> in) {
    auto v = co_await in.recv();
    if (!v) throw std::runtime_error("closed");
    co_return *v * 2;
}

} // namespace

TEST_CASE("a task that awaits what another thread resumes goes on, on its own loop") {
    their_thread other;
    CHECK(levada::run([&]() -> task<> {
              const auto here = std::this_thread::get_id();
              for (int i = 0; i < 100; ++i) {
                  const int v = co_await on_their_thread{&other, i};
                  CHECK(v == i);
                  CHECK(std::this_thread::get_id() == here);
              }
          }) == 0);
}

TEST_TASK("an awaitable may be ready, refuse to suspend, resume at once, pass the handle on, or throw") {
    for (const way how : {way::ready, way::refuses, way::elsewhere, way::itself, way::inline_resume}) {
        const int v = co_await by_another_way{how};
        CHECK(v == 7);
    }
    refusing r;
    for (int i = 1; i < 10; ++i) {
        auto v = co_await r;
        CHECK(*v == i);
    }
    for (const way how : {way::throws_before, way::throws_after}) {
        std::string said;
        try {
            const int v = co_await by_another_way{how};
            CHECK(v == -1);
        } catch (const std::runtime_error& e) {
            said = e.what();
        }
        CHECK(said == (how == way::throws_before ? "no" : "later"));
    }
}

TEST_CASE("a task that is cancelled while others have it waits, gets the value, and unwinds at its next "
          "operation") {
    their_thread other;
    std::string log;
    CHECK(levada::run([&]() -> task<> {
              other.hold();
              auto h = spawn([&]() -> task<> {
                  defer out([&]() noexcept { log += 'u'; });
                  const int v = co_await on_their_thread{&other, 5};
                  log += std::to_string(v);
                  co_await this_task::yield();
                  log += '!';
              });
              other.let();
              other.hold();
              h.cancel();
              other.let();
              auto r = co_await h.join();
              CHECK(r.error() == errc::cancelled);
          }) == 0);
    CHECK((log == "5u" || log == "u")); // or it was cancelled before it began to wait
}

TEST_TASK_STAGED("a cancelled task does not begin to wait for others") {
    std::coroutine_handle<> given;
    auto h = spawn([&given]() -> task<> { co_await keeps_handle{&given}; });
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    CHECK(!given);
}

TEST_TASK("a task whose handle is destroyed instead of resumed hears of it") {
    std::coroutine_handle<> given;
    auto h = spawn([&given]() -> task<std::string> {
        try {
            co_await keeps_handle{&given};
        } catch (const std::system_error& e) {
            if (e.code() == std::errc::operation_canceled) co_return e.what();
        }
        co_return "";
    });
    while (!given) co_await this_task::yield();
    given.destroy();
    auto said = co_await h.join();
    REQUIRE(said);
    CHECK(said->find("destroyed its continuation") != std::string::npos);
}

TEST_CASE("tasks on four loops that others resume, and that are cancelled at any moment, all end once") {
    const test_support::with_loops unset;
    std::atomic<int> begun{0}, ended{0};
    {
        std::array<their_thread, 2> others;
        runtime rt({.loops = 4, .eager = true});
        rt.run([&]() -> task<> {
            for (int round = 0; round < 50; ++round) {
                static_cast<void>(co_await with_timeout(1ms, [&]() -> task<> {
                    co_await with_group([&](task_group& g) -> task<> {
                        for (int i = 0; i < 20; ++i)
                            g.go([&, i]() -> task<> {
                                ++begun;
                                defer out([&]() noexcept { ++ended; });
                                for (int k = 0; k < 20; ++k) {
                                    static_cast<void>(co_await on_their_thread{
                                        &others[static_cast<std::size_t>(i % 2)], k});
                                    co_await this_task::yield();
                                }
                            });
                        co_return;
                    });
                }));
            }
        });
    }
    CHECK(begun == ended);
}

TEST_TASK("a foreign coroutine awaits operations, selects, limits and tasks") {
    channel<int> in(4), out(4);
    std::string log;
    auto script = [&]() -> theirs {
        auto v = co_await in.recv();
        log += v ? std::to_string(*v) : "-";
        co_await sleep_for(1ms);
        auto sent = co_await out.send(5);
        log += sent ? 's' : '-';
        auto s = co_await select(in.recv(), after(1h));
        log += std::to_string(s.index());
        auto late = co_await with_timeout(1ms, in.recv());
        log += late ? "-" : "t";
        const int d = co_await doubled(in);
        log += std::to_string(d);
        try {
            const int none = co_await doubled(in);
            log += std::to_string(none);
        } catch (const std::runtime_error& e) {
            log += e.what();
        }
    };
    theirs other = script();
    other.start();
    CHECK(log.empty());
    for (const int i : {1, 2}) static_cast<void>(co_await in.send(i));
    while (log.find('t') == std::string::npos) co_await sleep_for(1ms);
    static_cast<void>(co_await in.send(21));
    while (log.find("42") == std::string::npos) co_await sleep_for(1ms);
    in.close();
    while (!other.done()) co_await this_task::yield();
    CHECK(log == "1s0t42closed");
    CHECK(out.size() == 1);
    CHECK_FALSE(other.threw());
}

TEST_TASK("a foreign coroutine that is destroyed while it waits withdraws, and consumes nothing") {
    channel<int> ch;
    auto script = [&]() -> theirs { static_cast<void>(co_await ch.recv()); };
    for (int turns = 0; turns < 4; ++turns) {
        theirs other = script();
        other.start();
        for (int i = 0; i < turns; ++i) co_await this_task::yield();
        other.destroy();
        auto sent = ch.try_send(1);
        if (sent) continue; // it was handed over before the coroutine went
        CHECK(sent.error() == errc::full);
        co_await this_task::yield();
        co_await this_task::yield();
        CHECK_FALSE(ch.try_send(1));
    }
}

TEST_CASE("the kernel writes nothing to a foreign coroutine that was destroyed while it read") {
    pipe_ends p;
    CHECK(levada::run([&]() -> task<> {
              event_loop& loop = *event_loop::current();
              auto buffer = std::make_unique<std::array<char, 16>>();
              auto script = [&]() -> theirs {
                  static_cast<void>(co_await loop.submit(
                      [&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, p.fd[0], buffer->data(), 16, 0); }));
              };
              for (int turns = 0; turns < 5; ++turns) {
                  buffer->fill('-');
                  theirs other = script();
                  other.start();
                  for (int i = 0; i < turns; ++i) co_await this_task::yield();
                  other.destroy();
                  CHECK(::write(p.fd[1], "x", 1) == 1);
                  co_await sleep_for(1ms);
                  CHECK((*buffer)[0] == '-');
                  char got = 0;
                  CHECK(::read(p.fd[0], &got, 1) == 1);
              }
          }) == 0);
}

TEST_CASE(
    "the kernel writes nothing to a foreign coroutine that was destroyed between two turns of the loop") {
    pipe_ends p;
    event_loop loop;
    std::array<char, 16> buffer{'-'};
    auto script = [&]() -> theirs {
        static_cast<void>(co_await loop.submit(
            [&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, p.fd[0], buffer.data(), 16, 0); }));
    };
    for (const int turns : {1, 2, 3}) {
        theirs other = script();
        loop.post([&] { other.start(); });
        for (int i = 0; i < turns; ++i) static_cast<void>(loop.poll());
        CHECK(::write(p.fd[1], "x", 1) == 1);
        other.destroy();
        buffer[0] = '-';
        for (int i = 0; i < 5; ++i) static_cast<void>(loop.run_once(1ms));
        CHECK(buffer[0] == '-');
        char got = 0;
        const int flags = ::fcntl(p.fd[0], F_GETFL);
        ::fcntl(p.fd[0], F_SETFL, flags | O_NONBLOCK); // it may have been read, and dropped
        static_cast<void>(!::read(p.fd[0], &got, 1));
        ::fcntl(p.fd[0], F_SETFL, flags);
    }
}

TEST_CASE("a task in a shield, whose foreign coroutine is destroyed, has its read cut, and ends") {
    pipe_ends p;
    event_loop loop;
    bool cut = false;
    std::array<char, 4> buffer{};
    auto read = [&]() -> task<> {
        auto n = co_await loop.submit(
            [&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, p.fd[0], buffer.data(), 4, 0); });
        cut = !n && n.error() == std::errc::operation_canceled;
    };
    auto shielded = [&]() -> task<> { co_await shield(read); };
    auto script = [&]() -> theirs { co_await shielded(); };
    theirs other = script();
    loop.post([&] { other.start(); });
    for (int i = 0; i < 3; ++i) static_cast<void>(loop.poll());
    CHECK(loop.in_flight() == 1);
    loop.post([&] { other.destroy(); });
    loop.run(); // ends
    CHECK(cut);
}

TEST_TASK("what a foreign coroutine starts after an await is not cancelled") {
    std::string log;
    auto script = [&]() -> theirs {
        co_await this_task::yield();
        auto h = spawn([&]() -> task<int> {
            co_await this_task::yield();
            co_return 7;
        });
        log += this_task::token().cancelled() ? 'c' : '-';
        auto r = co_await h.join();
        log += r ? std::to_string(*r) : r.error().message();
    };
    theirs other = script();
    other.start();
    while (!other.done()) co_await this_task::yield();
    CHECK(log == "-7");
}

TEST_CASE("a completion that its ring's owner has not marked as seen is not taken twice") {
    io_uring ring{};
    REQUIRE(io_uring_queue_init(64, &ring, 0) == 0);
    {
        pipe_ends a, b;
        event_loop loop(guest_ring{&ring, 7});
        std::array<char, 4> buffer{};
        auto script = [&]() -> theirs {
            static_cast<void>(co_await loop.submit(
                [&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, a.fd[0], buffer.data(), 4, 0); }));
        };
        theirs other = script();
        bool done = false;
        loop.post([&] { other.start(); });
        loop.go([&]() -> task<> {
            static_cast<void>(co_await poll_descriptor(b.fd[0], POLLIN));
            other.destroy(); // waits in the owner's ring
            done = true;
        });
        CHECK(::write(b.fd[1], "x", 1) == 1);
        static_cast<void>(loop.run_ready());
        while (!done) {
            REQUIRE(io_uring_submit_and_wait(&ring, 1) >= 0);
            io_uring_cqe* cqe = nullptr;
            while (io_uring_peek_cqe(&ring, &cqe) == 0 && cqe) {
                CHECK(loop.dispatch(cqe));
                static_cast<void>(loop.run_ready());
                io_uring_cqe_seen(&ring, cqe);
            }
        }
    }
    io_uring_queue_exit(&ring);
}

TEST_CASE("a foreign coroutine that waits when its loop ends is not resumed, and can be destroyed after it") {
    bool went_on = false;
    channel<int> never;
    auto script = [&]() -> theirs {
        static_cast<void>(co_await never.recv());
        went_on = true;
    };
    theirs other = script();
    {
        event_loop loop;
        loop.post([&] { other.start(); });
        loop.post([&] { loop.stop(); });
        loop.run();
        static_cast<void>(loop.poll());
    }
    CHECK_FALSE(went_on);
    CHECK_FALSE(other.done());
}

TEST_CASE("an operation that a foreign coroutine awaits where there is no loop terminates with what to do") {
    const auto d = test_support::run_to_death([] {
        channel<int> ch;
        auto script = [&]() -> theirs { static_cast<void>(co_await ch.recv()); };
        script().start();
    });
    CHECK(d.says("outside of a loop"));
    CHECK(d.says("loop.post"));
}
