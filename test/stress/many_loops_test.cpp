// Endings that meet on several loops: each of these was a fault once.

#include <support.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

/// Runs `f(k)` four times at once on four loops.
template <class F>
void run_on_four_loops(F f) {
    const test_support::with_loops unset;
    const std::size_t frames = frame_pool::live();
    {
        runtime rt({.loops = 4, .eager = true});
        CHECK(rt.run([&f]() -> task<> {
            co_await with_group([&f](task_group& g) -> task<> {
                for (int k = 0; k < 4; ++k) g.go(f, k);
                co_return;
            });
        }) == 0);
    }
    CHECK(frame_pool::live() == frames);
}

task<> yield_times(int n) {
    for (int i = 0; i < n; ++i) co_await this_task::yield();
}

} // namespace

TEST_CASE("a handle that detaches while its task ends on another loop leaves both counted right") {
    run_on_four_loops([](int k) -> task<> {
        for (int i = 0; i < 5000; ++i) {
            auto a = spawn(yield_times, (i + k) % 3);
            auto b = spawn(yield_times, (i + k) % 2);
            co_await this_task::yield();
            a.detach();
            b.detach();
        }
    });
}

TEST_CASE(
    "a token that is cancelled while a call under it ends on another loop touches nothing that has gone") {
    run_on_four_loops([](int k) -> task<> {
        for (int i = 0; i < 300; ++i) {
            cancel_source source;
            co_await with_group([&](task_group& g) -> task<> {
                for (int n = 0; n < 4; ++n)
                    g.go([&, n]() -> task<> {
                        for (int j = 0; j < 4; ++j) {
                            auto r = co_await with_token(source.token(), yield_times, n % 3);
                            static_cast<void>(r);
                        }
                    });
                co_await yield_times((i + k) % 7);
                source.cancel();
            });
        }
    });
}

TEST_CASE(
    "what a task returns, and nobody takes, is gone before those who wait for its group hear of its end") {
    run_on_four_loops([](int k) -> task<> {
        const auto child = [](semaphore& s, int n) -> task<semaphore_permit> {
            co_await yield_times(n);
            co_return co_await s.acquire();
        };
        for (int i = 0; i < 3000; ++i) {
            semaphore s(5); // terminates if a permit outlives it
            wait_group wg;
            for (int j = 0; j < 3; ++j) wg.go(child, std::ref(s), (i + k + j) % 4);
            co_await wg.wait();
            co_await with_group([&](task_group& g) -> task<> {
                for (int j = 0; j < 2; ++j) g.go(child, std::ref(s), (i + k + j) % 3);
                co_return;
            });
        }
    });
}

TEST_CASE("a wait_group may be destroyed by the first of several waiters that returns") {
    const auto rounds = []() -> task<> {
        for (int i = 0; i < 500; ++i) {
            auto wg = std::make_unique<wait_group>();
            wg->add(1);
            auto destroyer = spawn([&wg]() -> task<> {
                auto* const group = wg.get();
                co_await group->wait();
                wg.reset();
            });
            co_await test_support::until_parked(destroyer);
            auto other = spawn([group = wg.get()]() -> task<> { co_await group->wait(); });
            co_await test_support::until_parked(other);
            wg->done();
            auto a = co_await destroyer.join();
            auto b = co_await other.join();
            CHECK((a && b));
        }
    };
    CHECK(levada::run(rounds) == 0);
}

TEST_CASE("an exception that is joined while its task still ends on another loop comes out whole") {
    test_support::expectations all_loops;
    run_on_four_loops([&all_loops](int k) -> task<> {
        for (int i = 0; i < 2000; ++i) {
            auto h = spawn(
                [](int n) -> task<> {
                    co_await yield_times(n);
                    throw std::runtime_error("joined");
                },
                (i + k) % 3);
            co_await yield_times(i % 3);
            bool thrown = false;
            try {
                auto r = co_await h.join();
                static_cast<void>(r);
            } catch (const std::runtime_error&) {
                thrown = true;
            }
            all_loops.expect(thrown);
        }
    });
}

TEST_CASE("a task that wanders over all loops is never taken for one that sleeps for ever") {
    const test_support::with_loops unset;
    test_support::expectations all_loops;
    runtime rt({.loops = 6, .pinned = true});
    const int code = rt.run([&]() -> task<> {
        constexpr std::size_t loops = 6;
        std::array<channel<int>, loops> next;
        co_await with_group([&](task_group& g) -> task<> {
            for (std::size_t i = 0; i < loops; ++i)
                g.go([&, i]() -> task<> {
                    auto h = spawn_on(
                        rt.loop(i),
                        [](recv_channel<int> in, send_channel<int> out) -> task<> {
                            while (auto left = co_await in.recv()) {
                                if (*left == 0) break;
                                auto sent = co_await out.send(*left - 1);
                                if (!sent) break;
                            }
                            out.close();
                        },
                        next[i], next[(i + 1) % loops]);
                    auto r = co_await h.join();
                    all_loops.expect(r);
                });
            auto sent = co_await next[0].send(20'000);
            all_loops.expect(sent);
        });
    });
    CHECK(code == 0);
}

TEST_CASE("a started task does not wait for the one that started it, which computes") {
    const test_support::with_loops unset;
    test_support::expectations all_loops;
    runtime rt({.loops = 2, .eager = true});
    const int code = rt.run([&all_loops]() -> task<> {
        std::atomic<bool> child{false};
        for (int i = 0; i < 20; ++i) {
            child = false;
            co_await sleep_for(1ms); // the other loop has nothing to do
            auto h = spawn([&child]() -> task<> {
                child = true;
                co_return;
            });
            // Not forever, as the other loop may have looked away just then: then it is this loop's, after
            // all.
            for (int n = 0; n < 1000 && !child; ++n) std::this_thread::yield();
            auto r = co_await h.join();
            all_loops.expect(r);
        }
    });
    CHECK(code == 0);
}

TEST_CASE("what waits behind a task that computes for long is taken by a loop that becomes idle meanwhile") {
    const test_support::with_loops unset;
    test_support::expectations all_loops;
    runtime rt({.loops = 2, .eager = true});
    const int code = rt.run([&]() -> task<> {
        for (int i = 0; i < 50; ++i) {
            std::atomic<bool> second_busy{false};
            std::atomic<int> begun{0};
            auto second = spawn_on(rt.loop(1), [&]() -> task<> {
                second_busy = true;
                while (begun == 0) std::this_thread::yield();
                co_return;
            });
            auto first = spawn_on(rt.loop(0), [&]() -> task<> {
                while (!second_busy) std::this_thread::yield();
                co_await with_group([&](task_group& g) -> task<> {
                    for (int k = 0; k < 2; ++k)
                        g.go([&]() -> task<> {
                            ++begun; // the one that comes first computes until the other one has come
                            while (begun != 2) std::this_thread::yield();
                            co_return;
                        });
                    co_return;
                });
            });
            auto a = co_await first.join();
            auto b = co_await second.join();
            all_loops.expect(a && b);
        }
    });
    CHECK(code == 0);
}

TEST_CASE("tasks that live on a runtime which is destroyed without a run are cancelled and joined") {
    const test_support::with_loops unset;
    const std::size_t frames = frame_pool::live();
    {
        runtime rt({.loops = 3, .eager = true});
        std::atomic<bool> began{false};
        rt.loop(1).post([&] {
            go([&]() -> task<> {
                began = true;
                co_await sleep_for(1h);
            });
        });
        while (!began) std::this_thread::yield();
    }
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("a token that all loops wait for at once wakes every waiter, and outlives its source for them") {
    test_support::expectations all_loops;
    for (const bool destroyed : {false, true}) {
        std::optional<cancel_source> source;
        std::atomic<int> rounds{0}, woken{0};
        const test_support::with_loops unset;
        const std::size_t frames = frame_pool::live();
        {
            runtime rt({.loops = 4, .pinned = true});
            const int code = rt.run([&]() -> task<> {
                for (int n = 0; n < 20; ++n) {
                    source.emplace();
                    const cancel_token all = source->token();
                    rounds = woken = 0;
                    std::vector<join_handle<>> handles;
                    for (int k = 0; k < 12; ++k)
                        handles.push_back(
                            spawn_on(rt.loop(static_cast<std::size_t>(k) % 4), [&, all, k]() -> task<> {
                                channel<int> one(1), never;
                                for (;;) {
                                    // Ready, so that waiters come and go at once on all loops; then for good.
                                    ++rounds;
                                    auto s = co_await select(one.send(k), never.recv(), all.done());
                                    if (s.index() == 2) break;
                                    auto t = co_await select(sleep_for(1us), all.done());
                                    if (t.index() == 1) break;
                                    auto v = one.try_recv();
                                    all_loops.expect(test_support::holds(v, k));
                                }
                                co_await all.done(); // a cancelled token is ready
                                ++woken;
                            }));
                    while (rounds < 400) co_await this_task::yield();
                    if (destroyed) source.reset();
                    else all_loops.expect(source->cancel());
                    for (auto& h : handles) {
                        auto r = co_await h.join();
                        all_loops.expect(r);
                    }
                    all_loops.expect(woken == 12);
                    all_loops.expect(all.cancelled());
                }
                source.reset();
            });
            CHECK(code == 0);
        }
        CHECK(frame_pool::live() == frames);
    }
}

TEST_CASE("the timer of a source that goes on another loop goes too") {
    const test_support::with_loops unset;
    test_support::expectations all_loops;
    runtime rt({.loops = 2, .eager = true});
    const int code = rt.run([&]() -> task<> {
        channel<cancel_source> made;
        event looked;
        auto maker = spawn_on(
            rt.loop(1),
            [&all_loops](send_channel<cancel_source> to) -> task<> {
                for (int i = 0; i < 100; ++i) {
                    auto sent = co_await to.send(cancel_source(1h));
                    all_loops.expect(sent);
                }
                to.close();
            },
            made);
        auto user = spawn_on(
            rt.loop(0),
            [&](recv_channel<cancel_source> from) -> task<> {
                while (auto source = co_await from.recv()) co_await this_task::yield();
                rt.loop(1).post([&] { // after what the sources have posted there
                    // Of its timers: the loop itself is due at once while anything is ready or posted.
                    const executor& timers = rt.loop(1);
                    all_loops.expect(timers.next_deadline() == time_point::max());
                    looked.set();
                });
            },
            made);
        auto made_all = co_await maker.join();
        all_loops.expect(made_all);
        auto used = co_await user.join();
        all_loops.expect(used);
        co_await looked.wait();
    });
    CHECK(code == 0);
}
