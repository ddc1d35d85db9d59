// Threads of the pools: what they mean for the report that all tasks are asleep, and what happens without
// them.

#include "scenario.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <unistd.h>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

task<> wait_for_nobody() {
    channel<int> never;
    auto v = co_await never.recv();
    static_cast<void>(v);
}

/// Runs `f` on one loop, and on several that have their threads from the start.
template <class F>
void on_one_and_on_several_loops(int code, const F& f) {
    ::unsetenv("LEVADA_LOOPS");
    EXPECT(runtime({.loops = 1}).run(f) == code);
    EXPECT(runtime({.loops = 3, .eager = true}).run(f) == code);
}

} // namespace

SCENARIO("idle threads of the pool do not hide that all tasks are asleep") {
    on_one_and_on_several_loops(2, []() -> task<> {
        co_await offload([] {});
        co_await with_group([](task_group& g) -> task<> {
            for (int i = 0; i < 5; ++i) g.go([]() -> task<> { co_await offload([] {}); });
            co_return;
        });
        co_await wait_for_nobody();
    });
}

SCENARIO("threads that have ended do not hide that all tasks are asleep") {
    set_offload_limit(1); // the others end as soon as they are idle
    on_one_and_on_several_loops(2, []() -> task<> {
        set_offload_limit(8);
        co_await with_group([](task_group& g) -> task<> {
            for (int i = 0; i < 8; ++i)
                g.go([]() -> task<> { co_await offload([] { std::this_thread::yield(); }); });
            co_return;
        });
        set_offload_limit(1);
        co_await offload([] {});
        std::thread([] {}).join();
        co_await wait_for_nobody();
    });
}

SCENARIO("a deadlock is reported once the last busy thread of the pool is idle, though it wakes nobody") {
    on_one_and_on_several_loops(2, []() -> task<> {
        test_process::close_resolver();
        const int before = test_process::look_ups_begun();
        auto again = spawn(resolve, std::string("somewhere"), std::uint16_t(1));
        co_await offload([before] { test_process::until_look_ups(before + 1); });
        again.cancel();
        auto given_up = co_await again.join();
        EXPECT(!given_up);
        // The pool is busy for nobody, and then it is not.
        std::thread([] { test_process::open_resolver(); }).detach();
        co_await wait_for_nobody();
    });
}

SCENARIO("tasks are not taken for asleep while a thread of the pool works for one of them") {
    on_one_and_on_several_loops(0, []() -> task<> {
        channel<int> ch;
        auto h = spawn([ch]() -> task<> {
            for (int i = 0; i < 3; ++i) {
                // Long enough for loops to look more than once; right without it too.
                co_await offload([] { std::this_thread::sleep_for(20ms); });
                auto sent = co_await ch.send(i);
                EXPECT(sent);
            }
        });
        for (int i = 0; i < 3; ++i) {
            auto v = co_await ch.recv();
            EXPECT(v && *v == i);
        }
        auto ended = co_await h.join();
        EXPECT(ended);
    });
}

SCENARIO("tasks are not taken for asleep while a look-up goes on") {
    on_one_and_on_several_loops(0, []() -> task<> {
        test_process::close_resolver();
        const int before = test_process::look_ups_begun();
        std::thread opener([before] {
            test_process::until_look_ups(before + 1);
            std::this_thread::sleep_for(20ms); // as above
            test_process::open_resolver();
        });
        auto found = co_await resolve("somewhere", 7);
        EXPECT(found && found->front().to_string() == "127.0.0.1:7");
        opener.join();
    });
}

SCENARIO("a call between two threads and the pool is never taken for a deadlock") {
    on_one_and_on_several_loops(0, []() -> task<> {
        for (int i = 0; i < 2'000; ++i) {
            const int n = co_await offload([i] { return i; });
            EXPECT(n == i);
        }
    });
}

SCENARIO("a signal that is on its way is not taken for a deadlock") {
    ::unsetenv("LEVADA_LOOPS");
    test_process::delay_signals(150); // for all loops to look more than once; right without it too
    runtime rt({.loops = 2, .pinned = true});
    EXPECT(rt.run([&rt]() -> task<int> {
        auto signals = signal_channel({SIGUSR1});
        for (int i = 0; i < 3; ++i) {
            spawn_on(rt.loop(1), []() -> task<> {
                ::kill(::getpid(), SIGUSR1); // only the first loop's thread takes it
                co_return;
            }).detach();
            auto s = co_await signals.recv();
            EXPECT(s && *s == SIGUSR1);
        }
        co_return 0;
    }) == 0);
}

SCENARIO("beside a signal channel a deadlock is reported") {
    on_one_and_on_several_loops(2, []() -> task<> {
        auto signals = signal_channel({SIGUSR1});
        co_await offload([] {});
        co_await wait_for_nobody();
    });
}

SCENARIO("io_uring's own workers do not hide that all tasks are asleep") {
    on_one_and_on_several_loops(2, []() -> task<> {
        co_await offload([] {});
        const std::string path = "process-test-" + std::to_string(::getpid());
        auto f = co_await file::open(path, file_mode::write | file_mode::create);
        EXPECT(f);
        ::unlink(path.c_str());
        auto synced = co_await f->sync(); // always on a worker, which stays for a while
        EXPECT(synced);
        co_await wait_for_nobody();
    });
}

SCENARIO("without a single thread offload throws, and what has an outcome gives it") {
    EXPECT(runtime({.loops = 1}).run([]() -> task<> {
        test_process::let_threads_start(0);
        bool called = false;
        std::error_code why;
        try {
            co_await offload([&called] { called = true; });
        } catch (const std::system_error& e) {
            why = e.code();
        }
        EXPECT(why == std::errc::resource_unavailable_try_again);
        EXPECT(!called);
        try {
            auto in_time = co_await with_timeout(1h, offload([&called] { called = true; }));
            static_cast<void>(in_time);
            EXPECT(false);
        } catch (const std::system_error& e) {
            EXPECT(e.code() == std::errc::resource_unavailable_try_again);
        }
        auto found = co_await resolve("somewhere");
        EXPECT(!found && found.error() == std::errc::resource_unavailable_try_again);
        auto connected = co_await tcp_stream::connect("somewhere:1");
        EXPECT(!connected && connected.error() == std::errc::resource_unavailable_try_again);
        const std::string path = "process-test-" + std::to_string(::getpid());
        auto f = co_await file::open(path, file_mode::write | file_mode::create);
        EXPECT(f);
        ::unlink(path.c_str());
        auto cut = co_await f->truncate(10);
        EXPECT(!cut && cut.error() == std::errc::resource_unavailable_try_again);
        EXPECT(offload_threads() == 0);
        test_process::let_threads_start(1); // one is enough for all of them
        co_await with_group([](task_group& g) -> task<> {
            for (int i = 0; i < 10; ++i) g.go([]() -> task<> { co_await offload([] {}); });
            co_return;
        });
        EXPECT(offload_threads() == 1);
        auto now = co_await f->truncate(10);
        EXPECT(now);
    }) == 0);
}

SCENARIO("look-ups that nobody waits for do not keep calls from the pool, and those not begun never begin") {
    EXPECT(run([]() -> task<> {
               test_process::close_resolver();
               co_await with_group([](task_group& g) -> task<> {
                   for (int i = 0; i < 70; ++i)
                       g.go([]() -> task<> {
                           auto s =
                               co_await with_timeout(50ms, tcp_stream::connect, std::string("somewhere:1"));
                           EXPECT(!s && s.error() == errc::timed_out);
                       });
                   co_return;
               });
               const int began = test_process::look_ups_begun();
               EXPECT(began <= 16);
               set_offload_limit(1);
               co_await offload([] {}); // ends, though the resolver does not
               EXPECT(offload_threads() == 1);
               test_process::open_resolver();
               auto found = co_await resolve("somewhere");
               EXPECT(found);
               EXPECT(test_process::look_ups_begun() <= began + 1);
           }) == 0);
}

namespace {

/// Starts a task that calls `f` in the pool, and comes back once the pool has the call.
template <class F>
task<join_handle<void>> call_in_pool(F f) {
    bool called = false;
    auto h = spawn(
        [](F call, bool& said) -> task<> {
            said = true;
            co_await offload(call);
        },
        f, std::ref(called));
    while (!called) co_await this_task::yield();
    co_return h;
}

} // namespace

SCENARIO("a limit that is raised starts threads for the calls that wait") {
    EXPECT(runtime({.loops = 1}).run([]() -> task<> {
        set_offload_limit(1);
        std::atomic<int> there{0};
        const auto meet = [&there] { // all three at once
            there.fetch_add(1);
            there.notify_all();
            for (int n = there; n < 3; n = there) there.wait(n);
        };
        auto a = co_await call_in_pool(meet);
        auto b = co_await call_in_pool(meet);
        auto c = co_await call_in_pool(meet);
        EXPECT(offload_threads() == 1);
        set_offload_limit(8);
        EXPECT(offload_threads() == 3);
        for (auto* h : {&a, &b, &c}) {
            auto ended = co_await h->join();
            EXPECT(ended);
        }
    }) == 0);
}

SCENARIO("a thread of the pool that could not be started is tried again when a call is taken") {
    EXPECT(runtime({.loops = 1}).run([]() -> task<> {
        std::atomic<bool> open{false}, last_ran{false};
        test_process::let_threads_start(1);
        auto a = co_await call_in_pool([&open] { open.wait(false); });
        auto b = co_await call_in_pool([&last_ran] { last_ran.wait(false); });
        auto c = co_await call_in_pool([&last_ran] {
            last_ran = true;
            last_ran.notify_all();
        });
        EXPECT(offload_threads() == 1);
        test_process::let_threads_start(-1);
        open = true;
        open.notify_all();
        for (auto* h : {&a, &b, &c}) {
            auto ended = co_await h->join();
            EXPECT(ended);
        }
        EXPECT(offload_threads() >= 2); // the second call waited for the third
    }) == 0);
}

SCENARIO("coarse work goes on with one loop where threads for the others cannot be had") {
    ::unsetenv("LEVADA_LOOPS");
    for (const int there : {0, 1}) { // none at all, and one that cannot start the next
        test_process::let_threads_start(there);
        const int refused = test_process::threads_refused();
        runtime rt({.loops = 3});
        int ran = 0; // by one thread
        EXPECT(rt.run([refused, &ran]() -> task<> {
            const auto compute = [&ran] {
                for (const auto end = now() + 1ms; now() < end;) {
                }
                ++ran;
            };
            // Until it was tried, and then some more.
            for (int more = 0; more < 3;) {
                co_await with_group([compute](task_group& g) -> task<> {
                    for (int i = 0; i < 10; ++i) g.go(compute);
                    co_return;
                });
                if (test_process::threads_refused() != refused) ++more;
            }
        }) == 0);
        EXPECT(ran >= 30);
        bool thrown = false;
        try {
            static_cast<void>(rt.loop(1));
        } catch (const std::exception&) {
            thrown = true;
        }
        EXPECT(thrown);
    }
}

SCENARIO("where there are threads for the loops and none for who watches them, the loops start") {
    ::unsetenv("LEVADA_LOOPS");
    test_process::let_threads_start(2);
    runtime rt({.loops = 3});
    EXPECT(rt.run([&rt]() -> task<> {
        std::array<std::thread::id, 3> on;
        for (std::size_t i = 0; i < on.size(); ++i) {
            auto other = spawn_on(rt.loop(i), [] { return std::this_thread::get_id(); });
            on[i] = co_await or_throw(other.join());
        }
        EXPECT(on[0] != on[1] && on[1] != on[2] && on[2] != on[0]);
        EXPECT(test_process::threads_refused() != 0);
    }) == 0);
}

SCENARIO("a runtime that wants its threads at once throws where they cannot be had, and starts later") {
    ::unsetenv("LEVADA_LOOPS");
    for (const int there : {0, 1}) {
        test_process::let_threads_start(there);
        runtime rt({.loops = 3, .eager = true});
        const auto nothing = []() -> task<> { co_return; };
        std::error_code why;
        try {
            static_cast<void>(rt.run(nothing));
        } catch (const std::system_error& e) {
            why = e.code();
        }
        EXPECT(why == std::errc::resource_unavailable_try_again);
        test_process::let_threads_start(-1);
        EXPECT(rt.run(nothing) == 0);
    }
}
