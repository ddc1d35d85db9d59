// What holds in the child of a fork.

#include "scenario.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

struct ended {
    int status = 0;
    std::string said;
    [[nodiscard]] bool well() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
    [[nodiscard]] bool aborted_saying(const char* text) const {
        return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && said.find(text) != std::string::npos;
    }
};

/// Runs `f` in a child of a fork.
template <class F>
ended in_a_child(const F& f) {
    int ends[2];
    EXPECT(::pipe(ends) == 0);
    const ::pid_t child = ::fork();
    EXPECT(child >= 0);
    if (child == 0) {
        ::alarm(60); // instead of a hang
        ::dup2(ends[1], STDERR_FILENO);
        ::close(ends[0]);
        ::close(ends[1]);
        f();
        ::_exit(0);
    }
    ::close(ends[1]);
    ended e;
    char buffer[256];
    for (::ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        e.said.append(buffer, static_cast<std::size_t>(n));
    ::close(ends[0]);
    EXPECT(::waitpid(child, &e.status, 0) == child);
    if (!e.well()) std::fprintf(stderr, "the child says: %s\n", e.said.c_str());
    return e;
}

task<int> use_the_pools() {
    const int n = co_await offload([] { return 7; });
    EXPECT(n == 7);
    auto found = co_await resolve("somewhere");
    EXPECT(found);
    const std::string path = "process-test-" + std::to_string(::getpid());
    auto f = co_await file::open(path, file_mode::write | file_mode::create);
    EXPECT(f);
    ::unlink(path.c_str());
    auto cut = co_await f->truncate(10);
    EXPECT(cut);
    co_return 0;
}

task<int> sleep_for_ever() {
    co_await offload([] {});
    channel<int> never;
    auto v = co_await never.recv();
    co_return v ? 0 : 1;
}

} // namespace

SCENARIO("a child of a fork has pools of its own") {
    ::unsetenv("LEVADA_LOOPS");
    EXPECT(run(use_the_pools) == 0);
    EXPECT(offload_threads() > 0);
    const ended child = in_a_child([] {
        EXPECT(offload_threads() == 0);
        EXPECT(run(use_the_pools) == 0);
        EXPECT(runtime({.loops = 3, .eager = true}).run(use_the_pools) == 0);
        EXPECT(offload_threads() > 0);
        // And again, in a child of the child.
        EXPECT(in_a_child([] { EXPECT(run(use_the_pools) == 0); }).well());
    });
    EXPECT(child.well());
    EXPECT(run(use_the_pools) == 0); // here nothing has changed
}

SCENARIO("in a child of a fork a deadlock is reported") {
    ::unsetenv("LEVADA_LOOPS");
    EXPECT(run(use_the_pools) == 0);
    EXPECT(in_a_child([] {
               EXPECT(run(sleep_for_ever) == 2);
               EXPECT(runtime({.loops = 3, .eager = true}).run(sleep_for_ever) == 2);
           }).well());
}

SCENARIO("a fork while threads of the pool are at work leaves the child in order") {
    for (int i = 0; i < 50; ++i) {
        // Calls come and go while the task forks.
        EXPECT(run([]() -> task<> {
                   co_await with_group([](task_group& g) -> task<> {
                       for (int n = 0; n < 8; ++n)
                           g.go([]() -> task<> {
                               for (int k = 0; k < 20; ++k) co_await offload([] {});
                           });
                       const ended child = in_a_child([] {
                           // Off this thread's loop, which is the parent's.
                           EXPECT(offload_threads() == 0);
                       });
                       EXPECT(child.well());
                       co_return;
                   });
               }) == 0);
        EXPECT(in_a_child([] { EXPECT(run(use_the_pools) == 0); }).well());
    }
}

SCENARIO("a loop that lives across a fork is refused in the child with a sentence") {
    event_loop loop;
    loop.go([]() -> task<> { co_await sleep_for(1h); });
    EXPECT(in_a_child([&] { (void)loop.run_once(0s); }).aborted_saying("made before a fork()"));
    runtime rt({.loops = 1});
    EXPECT(in_a_child([&] {
               (void)rt.run([]() -> task<> { co_return; });
           }).aborted_saying("made before a fork()"));
    auto* several = new runtime({.loops = 2, .eager = true});
    EXPECT(several->run([]() -> task<> { co_return; }) == 0);
    auto* busy = new runtime({.loops = 2, .eager = true});
    (void)busy->loop(1); // has its threads
    EXPECT(in_a_child([&] { delete busy; }).aborted_saying("made before a fork()"));
    delete busy;
    delete several;
}

SCENARIO("an idle loop that lives across a fork can be destroyed in the child") {
    auto loop = std::make_unique<event_loop>();
    loop->go([]() -> task<> { co_return; });
    loop->run();
    auto rt = std::make_unique<runtime>(runtime_options{.loops = 1});
    EXPECT(rt->run([]() -> task<> { co_return; }) == 0);
    EXPECT(in_a_child([&] {
               loop.reset();
               rt.reset();
           }).well());
}

SCENARIO("a runtime of which only the watcher has a thread can be destroyed in the child of a fork") {
    ::unsetenv("LEVADA_LOOPS");
    auto rt = std::make_unique<runtime>(runtime_options{.loops = 2});
    const auto yield = []() -> task<> { co_await this_task::yield(); };
    EXPECT(rt->run([yield]() -> task<> {
        co_await with_group([yield](task_group& g) -> task<> {
            for (int i = 0; i < 3; ++i) g.go(yield);
            co_return;
        });
    }) == 0);
    EXPECT(in_a_child([&] {
               rt.reset();
               EXPECT(runtime({.loops = 2}).run(yield) == 0);
           }).well());
}

SCENARIO("a call of offload that returns in the child of its own fork is refused with a sentence") {
    EXPECT(run([]() -> task<> {
               const auto child = co_await offload([] {
                   const auto pid = ::fork();
                   if (pid == 0) ::alarm(60);
                   return pid;
               });
               EXPECT(child > 0);
               int status = 0;
               EXPECT(::waitpid(child, &status, 0) == child);
               EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
           }) == 0);
}

SCENARIO("a signal of the child does not arrive in the parent's channel") {
    EXPECT(run([]() -> task<> {
               auto signals = signal_channel({SIGUSR1});
               co_await this_task::yield();
               const ended child = in_a_child([] {
                   struct sigaction now{};
                   EXPECT(::sigaction(SIGUSR1, nullptr, &now) == 0);
                   EXPECT(now.sa_handler == SIG_DFL); // as it was before the channel
                   std::signal(SIGUSR1, [](int) {});
                   ::kill(::getpid(), SIGUSR1);
               });
               EXPECT(child.well());
               auto none = co_await with_timeout(20ms, signals.recv());
               EXPECT(!none);
               ::kill(::getpid(), SIGUSR1);
               auto ours = co_await signals.recv();
               EXPECT(ours && *ours == SIGUSR1);
           }) == 0);
}

SCENARIO("a child of a fork has signal channels of its own") {
    const auto told = []() -> task<> {
        auto signals = signal_channel({SIGUSR1});
        co_await this_task::yield();
        ::kill(::getpid(), SIGUSR1); // not raise(): the threads of the other loops block signals
        auto got = co_await signals.recv();
        EXPECT(got && *got == SIGUSR1);
    };
    EXPECT(run(told) == 0);
    EXPECT(in_a_child([&] { EXPECT(run(told) == 0); }).well());
    EXPECT(run(told) == 0);
}

SCENARIO("a fork while other threads name tasks and cancel callbacks leaves both usable in the child") {
#if defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
    // Its allocator's own locks stay as they are at a fork, held or not: clang's holds them since version 17.
    std::exit(77);
#endif
    const auto use = [] {
        cancel_source source;
        int called = 0;
        cancel_callback on_cancel(source.token(), [&called] { ++called; });
        source.cancel();
        EXPECT(called == 1);
        EXPECT(run([]() -> task<> {
                   this_task::name("named");
                   co_return;
               }) == 0);
    };
    std::atomic<bool> enough{false};
    std::atomic<int> begun{0};
    std::thread other([&] {
        for (; !enough; ++begun) {
            cancel_source source;
            cancel_callback on_cancel(source.token(), [] {});
            source.cancel();
        }
    });
    std::thread namer([&] {
        static_cast<void>(runtime({.loops = 1}).run([&]() -> task<> {
            for (; !enough; ++begun) this_task::name("a name of some length, which is allocated");
            co_return;
        }));
    });
    while (begun < 100) std::this_thread::yield();
    for (int i = 0; i < 100; ++i) EXPECT(in_a_child(use).well());
    enough = true;
    other.join();
    namer.join();
}
