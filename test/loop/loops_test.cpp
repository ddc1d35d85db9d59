// runtime: several loops, each on a thread of its own.

#include <support.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

runtime_options eager(std::size_t loops) {
    runtime_options o;
    o.loops = loops;
    o.eager = true;
    return o;
}

/// The threads that tasks were seen on.
class sightings {
public:
    void here() {
        std::lock_guard guard(mutex_);
        seen_.insert(std::this_thread::get_id());
    }
    [[nodiscard]] std::size_t count() {
        std::lock_guard guard(mutex_);
        return seen_.size();
    }

private:
    std::mutex mutex_;
    std::set<std::thread::id> seen_;
};

} // namespace

TEST_CASE("ready tasks are taken by loops that have nothing to do") {
    const test_support::with_loops unset;
    const std::size_t frames = frame_pool::live();
    sightings seen;
    std::optional<runtime> rt(std::in_place, eager(4));
    REQUIRE(rt->size() == 4);
    CHECK(rt->run([&]() -> task<> {
        // All of them yield until two threads have been seen: one loop alone would never end.
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < 8; ++i)
                g.go([&]() -> task<> {
                    while (seen.count() < 2) {
                        seen.here();
                        co_await this_task::yield();
                    }
                });
            co_return;
        });
    }) == 0);
    CHECK(seen.count() >= 2);
    rt.reset();
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("work that only computes gets the other threads, though nobody asked for them") {
    const test_support::with_loops unset;
    sightings seen;
    runtime_options two;
    two.loops = 2;
    runtime rt(two);
    CHECK(rt.run([&]() -> task<> {
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < 2; ++i)
                g.go([&]() -> task<> {
                    // A millisecond of work at a time, until there are two threads.
                    while (seen.count() < 2) {
                        seen.here();
                        const auto end = std::chrono::steady_clock::now() + 1ms;
                        while (std::chrono::steady_clock::now() < end) {
                        }
                        co_await this_task::yield();
                    }
                });
            co_return;
        });
    }) == 0);
    CHECK(seen.count() == 2);
}

TEST_CASE("a task of spawn_on stays on its loop, whoever wakes it") {
    const test_support::with_loops unset;
    for (const bool pinned : {false, true}) {
        test_support::expectations all_loops;
        runtime_options o = eager(3);
        o.pinned = pinned;
        o.eager = !pinned;
        runtime rt(o);
        const int code = rt.run([&]() -> task<> {
            std::vector<join_handle<bool>> all;
            std::array<channel<int>, 3> in, out;
            for (std::size_t i = 0; i < rt.size(); ++i)
                all.push_back(spawn_on(
                    rt.loop(i),
                    [](event_loop& home, recv_channel<int> from, send_channel<int> to) -> task<bool> {
                        bool stayed = event_loop::current() == &home;
                        while (auto v = co_await from.recv()) {
                            stayed = stayed && event_loop::current() == &home;
                            auto sent = co_await to.send(*v + 1);
                            stayed = stayed && sent && event_loop::current() == &home;
                            co_await this_task::yield();
                            stayed = stayed && event_loop::current() == &home;
                        }
                        co_return stayed;
                    },
                    std::ref(rt.loop(i)), in[i], out[i]));
            for (int n = 0; n < 300; ++n) {
                const auto i = static_cast<std::size_t>(n % 3);
                auto sent = co_await in[i].send(n);
                all_loops.expect(sent);
                auto back = co_await out[i].recv();
                all_loops.expect(test_support::holds(back, n + 1));
            }
            for (auto& ch : in) ch.close();
            for (auto& h : all) {
                auto stayed = co_await h.join();
                all_loops.expect(test_support::holds(stayed, true));
            }
        });
        CHECK(code == 0);
    }
}

TEST_CASE("in a pinned runtime no task leaves the loop that it was started on") {
    const test_support::with_loops unset;
    runtime_options o;
    o.loops = 2;
    o.pinned = true;
    test_support::expectations all_loops;
    runtime rt(o);
    const int code = rt.run([&]() -> task<> {
        event_loop* const mine = event_loop::current();
        auto other = spawn_on(rt.loop(1), [&]() -> task<bool> {
            auto child = spawn([]() -> task<event_loop*> {
                co_await sleep_for(1ms);
                co_return event_loop::current();
            });
            auto on = co_await child.join();
            co_return test_support::holds(on, &rt.loop(1));
        });
        auto stayed = co_await other.join();
        all_loops.expect(test_support::holds(stayed, true));
        all_loops.expect(event_loop::current() == mine);
    });
    CHECK(code == 0);
}

TEST_CASE(
    "timers, timeouts and kernel operations end on the loop that began them, and cancels reach them there") {
    const test_support::with_loops unset;
    test_support::expectations all_loops;
    runtime rt(eager(4));
    std::atomic<int> timed{0}, timed_out{0}, cancelled{0};
    const int code = rt.run([&]() -> task<> {
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < 50; ++i) {
                g.go([&, i]() -> task<> {
                    co_await sleep_for(std::chrono::microseconds(i * 20));
                    ++timed;
                });
                g.go([&, i]() -> task<> {
                    channel<int> never;
                    auto r = co_await with_timeout(std::chrono::microseconds(i * 20), [&]() -> task<> {
                        co_await this_task::yield();
                        auto got = co_await never.recv();
                        static_cast<void>(got);
                    });
                    if (r.error() == errc::timed_out) ++timed_out;
                });
                g.go([&, i]() -> task<> {
                    int ends[2];
                    all_loops.expect(::pipe(ends) == 0);
                    auto h = spawn(
                        [](int fd) -> task<> {
                            auto r = co_await poll_descriptor(fd, 1);
                            static_cast<void>(r);
                        },
                        ends[0]);
                    co_await sleep_for(std::chrono::microseconds(i * 10));
                    h.cancel();
                    auto r = co_await h.join();
                    if (r.error() == errc::cancelled) ++cancelled;
                    ::close(ends[0]);
                    ::close(ends[1]);
                });
            }
            co_return;
        });
    });
    CHECK(code == 0);
    CHECK(timed == 50);
    CHECK(timed_out == 50);
    CHECK(cancelled == 50);
}

TEST_CASE("main may end on any loop: its value, its exception, and the end of the others come all the same") {
    const test_support::with_loops unset;
    const std::size_t frames = frame_pool::live();
    for (int i = 0; i < 50; ++i) {
        std::atomic<int> unwound{0};
        struct guard {
            std::atomic<int>* n;
            ~guard() { ++*n; }
        };
        runtime rt(eager(3));
        const auto body = [&]() -> task<int> {
            for (int n = 0; n < 10; ++n)
                go([&]() -> task<> {
                    const guard g{&unwound};
                    co_await sleep_for(1h);
                });
            for (int n = 0; n < 20; ++n) co_await this_task::yield();
            if (i % 2 == 1) throw std::runtime_error("of main");
            co_return 7;
        };
        if (i % 2 == 0) CHECK(rt.run(body) == 7);
        else CHECK_THROWS_WITH(rt.run(body), "of main");
        CHECK(unwound <= 10);                                   // one that had not begun has no guard
        CHECK(rt.run([]() -> task<int> { co_return 3; }) == 3); // again
    }
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("all tasks asleep on all loops is reported, and ends the program with 2") {
#if LEVADA_UNDER_TSAN
    SKIP("ThreadSanitizer has a thread of its own, so the process has others than ours");
#endif
    const auto d = test_support::run_to_death([] {
        const test_support::with_loops unset;
        runtime rt(eager(3));
        const int code = rt.run([&]() -> task<> {
            channel<int> ch;
            auto h = spawn_on(
                rt.loop(1),
                [](channel<int> c) -> task<> {
                    this_task::name("the other one");
                    auto r = co_await c.recv();
                    static_cast<void>(r);
                },
                ch);
            auto r = co_await h.join();
            static_cast<void>(r);
        });
        std::fprintf(stderr, "code %d\n", code);
    });
    CHECK(d.says("all tasks are asleep"));
    CHECK(d.says("the other one"));
    CHECK(d.says("code 2"));
}

TEST_CASE("tasks are not taken for asleep for ever while another thread of the process may wake them") {
    const test_support::with_loops unset;
    runtime rt(eager(2));
    channel<int> ch;
    std::thread other([&] {
        std::this_thread::sleep_for(20ms); // so that all loops fall asleep first; right without it too
        auto sent = ch.send_blocking(4);
        static_cast<void>(sent);
    });
    CHECK(rt.run([&]() -> task<int> {
        auto v = co_await ch.recv();
        co_return v.value_or(0);
    }) == 4);
    other.join();
}

TEST_CASE("LEVADA_LOOPS overrides what the program asks for, and has to be a number") {
    {
        const test_support::with_loops three("3");
        CHECK(runtime({.loops = 8}).size() == 3);
    }
    for (const char* bad : {"0", "-1", "two", "3x", "1025", "99999999999999999999"}) {
        const test_support::with_loops wrong(bad);
        CHECK_THROWS_AS(runtime(), std::invalid_argument);
        CHECK_THROWS_WITH(
            runtime(), Catch::Matchers::ContainsSubstring("LEVADA_LOOPS has to be a number from 1 to 1024") &&
                           Catch::Matchers::ContainsSubstring(bad));
    }
    {
        const test_support::with_loops unset;
        CHECK(runtime().size() >= 1);
        CHECK(runtime({.loops = 5}).size() == 5);
        runtime rt({.loops = 2});
        CHECK_THROWS_AS(rt.loop(2), std::out_of_range);
    }
}

TEST_CASE(
    "what is posted to a loop of a runtime whose threads have ended is called before the runtime goes") {
    const test_support::with_loops unset;
    std::atomic<int> called{0};
    {
        runtime rt(eager(3));
        CHECK(rt.run([]() -> task<> { co_return; }) == 0);
        for (std::size_t i = 0; i < rt.size(); ++i) rt.loop(i).post([&] { ++called; });
        CHECK(called == 0);
    }
    CHECK(called == 3);
}

TEST_CASE("what a late post posts, starts or drops on other loops is done before any loop goes") {
    const test_support::with_loops unset;
    const std::size_t frames = frame_pool::live();
    std::atomic<int> called{0}, ran{0};
    {
        std::optional<cancel_source> armed_on_1;
        runtime rt(eager(2));
        CHECK(rt.run([&]() -> task<> {
            auto h = spawn_on(rt.loop(1), [&]() -> task<> {
                armed_on_1.emplace(1h);
                co_return;
            });
            auto r = co_await h.join();
            static_cast<void>(r);
        }) == 0);
        event_loop& first = rt.loop(0);
        event_loop& second = rt.loop(1);
        second.post([&] {
            ++called;
            CHECK(event_loop::current() == &second);
            second.post([&] { ++called; });
            first.post([&] {
                ++called;
                armed_on_1.reset();
                second.post([&] {
                    ++called;
                    second.go([&]() -> task<> {
                        ++ran;
                        co_await sleep_for(1h); // born cancelled
                        ++ran;
                    });
                });
            });
        });
        first.post([&] {
            first.go([&]() -> task<> {
                co_await shield([&]() -> task<> {
                    co_await sleep_for(1ms);
                    ++ran;
                });
            });
        });
    }
    CHECK(called == 4);
    CHECK(ran == 2);
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("a source whose timer has fired may outlive the loop that it fired on") {
    const test_support::with_loops unset;
    std::optional<cancel_source> source;
    {
        runtime rt({.loops = 1});
        CHECK(rt.run([&]() -> task<> {
            source.emplace(1ms);
            co_await source->token().done();
        }) == 0);
    }
    runtime other({.loops = 1});
    CHECK(other.run([&]() -> task<> {
        CHECK(source->token().reason() == errc::timed_out);
        source.reset();
        co_return;
    }) == 0);
}

TEST_CASE("no descriptor is left behind by the loops of a runtime") {
    const test_support::with_loops unset;
    const auto open = [] {
        int n = 0;
        for (int fd = 0; fd < 512; ++fd) n += ::fcntl(fd, F_GETFD) >= 0;
        return n;
    };
    const int before = open();
    for (int i = 0; i < 5; ++i) {
        runtime rt(eager(4));
        CHECK(rt.run([]() -> task<> { co_await sleep_for(1ms); }) == 0);
    }
    CHECK(open() == before);
}

TEST_CASE("a loop whose last task was cancelled still counts those that are started there afterwards") {
    const test_support::with_loops unset;
    std::atomic<bool> finished = false;
    runtime rt({.loops = 2, .pinned = true});
    rt.run([&]() -> task<> {
        auto h = spawn_on(rt.loop(1), [&]() -> task<> {
            event gone;
            // It ends before its child, which its dropped handle cancels: the last of its loop's tasks is
            // cut.
            go([&]() -> task<> {
                auto dropped = spawn([&]() -> task<> {
                    defer out([&]() noexcept { gone.set(); });
                    co_await sleep_for(1h);
                });
                co_await test_support::until_parked(dropped);
            });
            co_await gone.wait();
            for (int i = 0; i < 10; ++i) co_await this_task::yield(); // the loop's own have ended
            event began;
            go(
                [&finished](event& b) -> task<> {
                    co_await shield([&]() -> task<> {
                        b.set();
                        for (int i = 0; i < 1000; ++i) co_await this_task::yield();
                        co_await sleep_for(1ms);
                        finished = true;
                    });
                },
                std::ref(began));
            co_await began.wait();
        });
        static_cast<void>(co_await h.join());
    });
    CHECK(finished); // main's end has cancelled it, and waited
}

TEST_CASE("a select that can always send or receive on one channel does not take its otherwise") {
    const test_support::with_loops unset;
    test_support::expectations all;
    runtime rt({.loops = 4, .eager = true});
    rt.run([&all]() -> task<> {
        channel<int> ch(1); // either there is room, or a value
        co_await with_group([&](task_group& g) -> task<> {
            for (int t = 0; t < 8; ++t)
                g.go([&all, ch]() -> task<> {
                    bool never = true;
                    for (int i = 0; i < 5000; ++i) {
                        auto s = co_await select(ch.send(std::move(i)), ch.recv(), otherwise);
                        never = never && s.index() != 2;
                    }
                    all.expect(never);
                });
            co_return;
        });
    });
}
