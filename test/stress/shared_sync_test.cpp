// Mutex, semaphore, event, latch and once, shared by plain threads and by tasks on several loops.

#include "support.hpp"

#include <levada/channel/select.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/latch.hpp>
#include <levada/sync/mutex.hpp>
#include <levada/sync/once.hpp>
#include <levada/sync/semaphore.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;

namespace {

/// Runs `f()` on a loop of its own on each of `n` threads, and joins them. The loops come and go on this
/// thread: ThreadSanitizer does not see liburing unmap a ring, and mistakes the next one there for the same.
template <class F>
void on_loops(int n, const F& f) {
    std::vector<std::unique_ptr<event_loop>> loops;
    for (int i = 0; i < n; ++i) {
        loops.push_back(std::make_unique<event_loop>());
        loops.back()->go(f);
    }
    std::vector<std::thread> threads;
    for (auto& l : loops) threads.emplace_back([&l] { l->run(); });
    for (auto& t : threads) t.join();
}

/// How many are inside; aborts when they are too many, as assertions are for one thread.
class room {
public:
    explicit room(int limit) : limit_(limit) {}
    void enter(int n = 1) {
        if (inside_.fetch_add(n) + n > limit_) std::abort();
    }
    void leave(int n = 1) { inside_.fetch_sub(n); }

private:
    const int limit_;
    std::atomic<int> inside_{0};
};

} // namespace

TEST_CASE("threads and tasks that count under one mutex lose no count") {
    constexpr int threads = 4, tasks = 4, rounds = 20'000;
    mutex m;
    int count = 0; // no atomic
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
        running.emplace_back([&] {
            for (int i = 0; i < rounds; ++i) {
                auto guard = m.lock_blocking();
                ++count;
            }
        });
    }
    const int code = levada::run([&]() -> task<> {
        wait_group wg;
        for (int t = 0; t < tasks; ++t) {
            wg.go([&]() -> task<> {
                for (int i = 0; i < rounds; ++i) {
                    auto guard = co_await m.lock();
                    ++count;
                    if (i % 16 == 0) co_await this_task::yield(); // held meanwhile
                }
            });
        }
        co_await wg.wait();
    });
    for (auto& t : running) t.join();
    CHECK(code == 0);
    CHECK(count == (threads + tasks) * rounds);
    CHECK(m.try_lock());
}

TEST_CASE("tasks of two loops count under one mutex, give up, and are cancelled, and lose no count") {
    constexpr int rounds = 5000;
    mutex m;
    int count = 0; // guarded by m
    std::atomic<int> expected{0};
    on_loops(2, [&]() -> task<> {
        wait_group wg;
        for (int t = 0; t < 4; ++t) {
            wg.go([&, t]() -> task<> {
                std::minstd_rand dice(static_cast<unsigned>(t + 1));
                for (int i = 0; i < rounds; ++i) {
                    switch (dice() % 4) {
                        case 0: {
                            auto guard =
                                co_await with_timeout(std::chrono::microseconds(dice() % 30), m.lock());
                            if (!guard) break;
                            ++count;
                            ++expected;
                            break;
                        }
                        case 1: {
                            auto s = co_await select(m.lock(), after(5us), m.lock());
                            if (s.index() == 1) break;
                            ++count;
                            ++expected;
                            break;
                        }
                        case 2: {
                            auto h = spawn([&]() -> task<> {
                                auto guard = co_await m.lock();
                                ++count;
                                ++expected;
                                co_await this_task::yield();
                            });
                            co_await this_task::yield();
                            h.cancel();
                            std::ignore = co_await h.join();
                            break;
                        }
                        default: {
                            auto guard = co_await m.lock();
                            ++count;
                            ++expected;
                        }
                    }
                }
            });
        }
        co_await wg.wait();
    });
    CHECK(count == expected);
    CHECK(count > rounds);
    CHECK(m.try_lock());
}

TEST_CASE("a semaphore lets no more in than it has units, and loses none, whoever gives up") {
    constexpr int units = 3;
    semaphore s(units);
    room inside(units);
    std::vector<std::thread> running;
    for (int t = 0; t < 2; ++t) {
        running.emplace_back([&, t] {
            for (int i = 0; i < 10'000; ++i) {
                auto permit = s.acquire_blocking(static_cast<std::size_t>(1 + (i + t) % units));
                const int n = static_cast<int>(permit.count());
                inside.enter(n);
                inside.leave(n);
            }
        });
    }
    on_loops(2, [&]() -> task<> {
        wait_group wg;
        for (int t = 0; t < 4; ++t) {
            wg.go([&, t]() -> task<> {
                std::minstd_rand dice(static_cast<unsigned>(t + 1));
                for (int i = 0; i < 4000; ++i) {
                    const std::size_t k = 1 + dice() % units;
                    const int n = static_cast<int>(k);
                    if (dice() % 3 == 0) {
                        auto h = spawn([&]() -> task<> {
                            auto permit = co_await s.acquire(k);
                            inside.enter(n);
                            defer out([&] { inside.leave(n); });
                            co_await this_task::yield();
                        });
                        co_await this_task::yield();
                        h.cancel();
                        std::ignore = co_await h.join();
                        continue;
                    }
                    auto permit = co_await with_timeout(std::chrono::microseconds(dice() % 40), s.acquire(k));
                    if (!permit) continue;
                    inside.enter(n);
                    if (dice() % 2) co_await this_task::yield();
                    inside.leave(n);
                }
            });
        }
        co_await wg.wait();
    });
    for (auto& t : running) t.join();
    CHECK(s.available() == units);
    CHECK(s.try_acquire(units));
}

TEST_CASE("an event that is set on one thread wakes threads and the tasks of two loops") {
    constexpr int rounds = 40;
    for (int round = 0; round < rounds; ++round) {
        event e;
        latch all_there(3);
        std::atomic<int> woken{0};
        int published = 0; // what set() publishes
        std::thread plain([&] {
            all_there.count_down();
            e.wait_blocking();
            woken += published;
        });
        std::thread setter([&] {
            all_there.wait_blocking();
            published = 1;
            e.set();
        });
        on_loops(2, [&]() -> task<> {
            auto h = spawn([&]() -> task<> {
                auto s = co_await select(e.wait(), after(1h));
                if (s.index() == 0) woken += published;
            });
            co_await this_task::yield();
            all_there.count_down();
            co_await e.wait();
            woken += published;
            std::ignore = co_await h.join();
        });
        plain.join();
        setter.join();
        REQUIRE(woken == 5);
    }
}

TEST_CASE("the one whom set woke destroys the event while the setter may still be in there") {
    for (int round = 0; round < 300; ++round) {
        auto e = std::make_unique<event>();
        std::thread setter([&raw = *e] { raw.set(); });
        if (round % 2 == 0) {
            e->wait_blocking();
            e.reset();
        } else {
            const int code = levada::run([&]() -> task<> {
                co_await e->wait();
                e.reset();
            });
            REQUIRE(code == 0);
        }
        setter.join();
    }
}

TEST_CASE("the one who was handed a mutex or units destroys it while the giver may still be in there") {
    for (int round = 0; round < 200; ++round) {
        auto m = std::make_unique<mutex>();
        auto s = std::make_unique<semaphore>(0u);
        auto held = m->try_lock();
        std::thread giver([held = std::move(held), &units = *s]() mutable {
            held.unlock();
            units.release();
        });
        const auto body = [&]() -> task<> {
            auto guard = co_await m->lock();
            guard.unlock();
            m.reset();
            auto permit = co_await s->acquire();
            permit.release();
            s.reset();
        };
        const int code = levada::run(body);
        giver.join();
        REQUIRE(code == 0);
    }
}

TEST_CASE("threads and tasks that arrive at a latch pass it together") {
    constexpr int rounds = 60;
    for (int round = 0; round < rounds; ++round) {
        latch l(6);
        std::atomic<int> arrived{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 2; ++t)
            threads.emplace_back([&] {
                ++arrived;
                l.count_down();
                l.wait_blocking();
                if (arrived != 6) std::abort();
            });
        on_loops(2, [&]() -> task<> {
            wait_group wg;
            for (int i = 0; i < 2; ++i) {
                wg.go([&]() -> task<> {
                    ++arrived;
                    co_await l.arrive_and_wait();
                    if (arrived != 6) std::abort();
                });
            }
            co_await wg.wait();
        });
        for (auto& t : threads) t.join();
        REQUIRE(l.try_wait());
    }
}

TEST_CASE("of the callers on two loops one runs it, though some are cancelled") {
    for (int round = 0; round < 60; ++round) {
        once o;
        int value = 0; // what the one who ran it publishes
        std::atomic<int> seen{0};
        on_loops(2, [&]() -> task<> {
            auto body = [&value]() -> task<> {
                co_await this_task::yield();
                ++value;
            };
            auto call = [&]() -> task<> {
                co_await o.call(body);
                if (value != 1) std::abort();
                ++seen;
            };
            auto cut = spawn(call);
            co_await this_task::yield();
            cut.cancel();
            wait_group wg;
            for (int i = 0; i < 3; ++i) wg.go(call);
            co_await wg.wait();
            std::ignore = co_await cut.join();
        });
        REQUIRE(o.done());
        REQUIRE(value == 1);
        REQUIRE(seen >= 6);
    }
}
