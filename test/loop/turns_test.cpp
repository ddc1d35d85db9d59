// A turn ends by time as well as by count: what is due is served beside tasks that find their operations
// ready for ever. Nothing here measures time: it counts how many steps a busy task does after something was
// due. Where turns end by count alone, these are tens of thousands.

#include <support.hpp>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

constexpr int most_steps_late = 64; // of 1 ms each, which is generous; of a turn there are 65,536

void compute(duration d) {
    for (const auto end = std::chrono::steady_clock::now() + d; std::chrono::steady_clock::now() < end;) {
    }
}

/// Computes for `step` between two operations that are ready at once, until `done` or `most` steps; counts
/// them.
task<> busy(duration step, const bool& done, int most, int& steps) {
    channel<int> mine(1);
    while (!done && steps < most) {
        compute(step);
        ++steps;
        auto sent = co_await mine.send(1);
        auto back = co_await mine.recv();
        if (!sent || !back) co_return;
    }
}

/// Runs on a loop alone, which `levada::run` has in these tests.
template <class F>
void beside_busy(int& steps, const F& serve, int most = 2'000) {
    levada::run([&]() -> task<> {
        bool done = false;
        co_await with_group([&](task_group& g) -> task<> {
            g.go(busy, 1ms, std::ref(done), most, std::ref(steps));
            co_await serve();
            done = true;
        });
    });
}

} // namespace

TEST_CASE("a limit ends a task whose operations are always ready") {
    for (const duration step : {duration(0), duration(10us), duration(1ms)}) {
        int late = 0;
        levada::run([&]() -> task<> {
            const time_point due = now() + 5ms;
            auto r = co_await with_timeout(5ms, [&]() -> task<> {
                channel<int> mine(1);
                for (int i = 0; i < 5'000'000; ++i) {
                    compute(step);
                    if (step >= 1ms && now() > due + 1ms) ++late;
                    if (late > 10 * most_steps_late) co_return;
                    auto sent = co_await mine.send(1);
                    auto back = co_await mine.recv();
                    if (!sent || !back) co_return;
                }
            });
            REQUIRE(!r);
            CHECK(r.error() == errc::timed_out);
        });
        CHECK(late < most_steps_late);
    }
}

TEST_CASE("a limit finds its task among many that are ready") {
    int late = 0;
    levada::run([&]() -> task<> {
        bool done = false;
        int steps = 0;
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < 100; ++i) g.go(busy, 1ms, std::ref(done), 500, std::ref(steps));
            auto r = co_await with_timeout(20ms, [&]() -> task<> {
                const time_point due = now() + 20ms;
                channel<int> mine(1);
                for (;;) {
                    if (now() > due) ++late;
                    auto sent = co_await mine.send(1);
                    auto back = co_await mine.recv();
                    if (!sent || !back || late > 1000) co_return;
                }
            });
            CHECK(!r);
            CHECK(
                steps <
                20 + most_steps_late); // of 1 ms, beside the limit's 20: it has not waited for a round of all
            done = true;
        });
    });
}

TEST_CASE("a limit that comes within the first step of its task ends it after that step") {
    int steps = 0;
    int own_steps = 0;
    beside_busy(steps, [&]() -> task<> {
        for (int i = 0; i < 10; ++i) {
            own_steps = 0;
            auto r = co_await with_timeout(1ms, busy, 5ms, false, 100, std::ref(own_steps));
            CHECK(!r);
            CHECK(own_steps == 1);
        }
    });
}

TEST_CASE("a heartbeat beats beside a task that drains a channel") {
    int beats = 0;
    int steps = 0;
    beside_busy(steps, [&]() -> task<> {
        for (; beats < 20; ++beats) co_await sleep_for(1ms);
    });
    CHECK(beats == 20);
    CHECK(steps < 20 * most_steps_late);
}

TEST_CASE("what the kernel completes is served beside a busy task, and what a task asks of it gets there") {
    auto pipe = byte_pipe::open();
    REQUIRE(pipe);
    auto& [reader, writer] = *pipe;
    int steps = 0;
    beside_busy(steps, [&]() -> task<> {
        for (int i = 0; i < 10; ++i) {
            char got = 0;
            auto sent = co_await writer.write_all("x");
            auto n = co_await reader.read(std::span<char>(&got, 1));
            CHECK(sent);
            CHECK(test_support::holds(n, 1u));
        }
    });
    CHECK(steps < 20 * most_steps_late);
}

TEST_CASE("what the kernel has at once is read without a step of a busy task for each") {
    auto pipe = byte_pipe::open();
    REQUIRE(pipe);
    auto& [reader, writer] = *pipe;
    constexpr int bytes = 200;
    int steps = 0;
    beside_busy(steps, [&]() -> task<> {
        auto sent = co_await writer.write_all(std::string(bytes, 'x'));
        CHECK(sent);
        const int before = steps;
        for (int i = 0; i < bytes; ++i) {
            char got = 0;
            auto n = co_await reader.read(std::span<char>(&got, 1));
            CHECK(test_support::holds(n, 1u));
        }
        CHECK(steps - before < bytes / 2);
    });
}

TEST_CASE("a post of another thread is served beside a busy task") {
    event_loop loop;
    bool done = false;
    int steps = 0;
    std::atomic<bool> begun = false;
    std::thread outside([&] {
        begun.wait(false);
        loop.post([&] { done = true; });
    });
    loop.go([&]() -> task<> {
        begun = true;
        begun.notify_one();
        co_await busy(1ms, done, 2'000, steps);
    });
    loop.run();
    outside.join();
    CHECK(done);
    CHECK(steps < most_steps_late * 10);
}

TEST_CASE("a signal is served beside a busy task") {
    int steps = 0;
    beside_busy(steps, [&]() -> task<> {
        auto signals = signal_channel({SIGUSR1});
        for (int i = 0; i < 5; ++i) {
            ::raise(SIGUSR1);
            auto got = co_await signals.recv();
            CHECK(test_support::holds(got, SIGUSR1));
        }
    });
    CHECK(steps < 5 * most_steps_late);
}

TEST_CASE("tasks that are woken for ever do not starve those that are only ready") {
    int rounds = 0;
    int usual = 0;
    levada::run([&]() -> task<> {
        bool done = false;
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < 4; ++i)
                g.go([&]() -> task<> {
                    while (!done) {
                        co_await sleep_for(1us);
                        compute(300us);
                        ++rounds;
                        if (rounds > 4'000) done = true;
                    }
                });
            co_await this_task::yield();
            while (!done && usual < 100) {
                ++usual;
                co_await this_task::yield();
            }
            done = true;
        });
    });
    CHECK(usual == 100);
}

TEST_CASE("tasks that are interrupted again and again leave the others their turn") {
    std::vector<int> steps(4, 0);
    levada::run([&]() -> task<> {
        bool done = false;
        co_await with_group([&](task_group& g) -> task<> {
            for (int& mine : steps) g.go(busy, 200us, std::ref(done), 5'000, std::ref(mine));
            for (int beat = 0; beat < 5'000 && !done; ++beat) {
                co_await sleep_for(500us);
                compute(300us);
                done = std::all_of(steps.begin(), steps.end(), [](int n) { return n >= 10; });
            }
            done = true;
        });
    });
    for (int n : steps) CHECK(n >= 10);
}

TEST_CASE("who is woken by the clock does not wait for all steps of another whom it woke before") {
    for (const bool busy_first : {true, false}) {
        int steps = 0;
        int seen = 0;
        bool in_time = false; // both slept before it was due; else once more, with more time
        for (duration ahead = 2ms; !in_time; ahead *= 2) {
            steps = 0;
            levada::run([&]() -> task<> {
                bool done = false;
                const time_point due = now() + ahead;
                co_await with_group([&](task_group& g) -> task<> {
                    const auto computes = [&]() -> task<> {
                        co_await sleep_until(due);
                        co_await busy(1ms, done, 250, steps);
                    };
                    const auto watches = [&]() -> task<> {
                        co_await sleep_until(due);
                        seen = steps;
                        done = true;
                    };
                    if (busy_first) g.go(computes);
                    g.go(watches);
                    if (!busy_first) g.go(computes);
                    co_await test_support::until_all_parked();
                    in_time = now() < due;
                    compute(due + 1ms - now());
                });
            });
        }
        CHECK(seen <= 2);
    }
}

TEST_CASE("who yields lets all go first that were just started, though the clock ends the turn after each") {
    levada::run([]() -> task<> {
        bool done = false;
        co_await with_group([&](task_group& g) -> task<> {
            g.go([&]() -> task<> {
                while (!done) co_await sleep_for(1ms); // so that each turn is ended by the clock
            });
            co_await this_task::yield();
            int ran = 0;
            for (int i = 0; i < 20; ++i)
                g.go([&]() -> task<> {
                    compute(3ms);
                    ++ran;
                    co_return;
                });
            co_await this_task::yield();
            CHECK(ran == 20);
            done = true;
        });
    });
}

TEST_CASE("who yields has its turn beside tasks that start others for ever") {
    levada::run([]() -> task<> {
        bool done = false;
        int started = 0;
        co_await with_group([&](task_group& g) -> task<> {
            std::function<task<>()> start_one = [&]() -> task<> {
                if (++started % 50 == 0) compute(3ms); // so that the clock ends turns
                if (!done && started < 1'000'000) g.go(start_one);
                co_return;
            };
            g.go([&]() -> task<> {
                while (!done) co_await sleep_for(1ms);
            });
            g.go(start_one);
            for (int i = 0; i < 10; ++i) co_await this_task::yield();
            done = true;
        });
        CHECK(started < 10'000);
    });
}

TEST_CASE("a turn of a polled loop ends by time") {
    event_loop loop;
    bool done = false;
    int steps = 0;
    loop.go([&]() -> task<> {
        co_await sleep_for(3ms);
        done = true;
    });
    loop.go(busy, 1ms, std::ref(done), 2'000, std::ref(steps));
    for (int turns = 0; turns < 100 && !done; ++turns) static_cast<void>(loop.poll());
    loop.run();
    CHECK(done);
    CHECK(steps < most_steps_late);
}

TEST_CASE("tasks that compute are taken by another loop, however they came to wait") {
    const test_support::with_loops unset;
    enum class how { group, channel, behind_a_busy_one };
    for (const how way : {how::group, how::channel, how::behind_a_busy_one}) {
        std::mutex mutex;
        std::set<std::thread::id> threads; // guarded by mutex
        std::atomic<bool> two = false;
        const auto step = [&] {
            compute(1ms);
            const std::lock_guard guard(mutex);
            threads.insert(std::this_thread::get_id());
            if (threads.size() > 1) two = true;
        };
        runtime rt({.loops = 2});
        static_cast<void>(rt.run([&]() -> task<> {
            co_await with_group([&](task_group& g) -> task<> {
                if (way == how::group) {
                    for (int i = 0; i < 5'000; ++i)
                        g.go([&] {
                            if (!two) step();
                        });
                } else if (way == how::channel) {
                    channel<int> jobs(10);
                    for (int i = 0; i < 4; ++i)
                        g.go([&, jobs]() -> task<> {
                            while (auto job = co_await jobs.recv()) step();
                        });
                    for (int i = 0; i < 5'000 && !two; ++i) co_await or_throw(jobs.send(i));
                    jobs.close();
                } else {
                    g.go([&] { step(); });
                    channel<int> mine(1);
                    for (int i = 0; i < 5'000 && !two; ++i) {
                        step();
                        g.go([&] { step(); });
                        co_await or_throw(mine.send(1));
                        co_await or_throw(mine.recv());
                    }
                }
                co_return;
            });
        }));
        INFO("the way " << static_cast<int>(way));
        CHECK(threads.size() == 2);
    }
}

TEST_CASE("whom a post wakes does not wait behind all that other loops compute") {
    const test_support::with_loops unset;
    constexpr int tasks = 100;
    std::vector<long> waited; // in steps of the others, a round each
    std::atomic<long> steps = 0;
    std::atomic<bool> over = false;
    runtime rt({.loops = 2, .eager = true});
    static_cast<void>(rt.run([&]() -> task<> {
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < tasks; ++i)
                g.go([&]() -> task<> {
                    while (!over) {
                        compute(200us);
                        ++steps;
                        co_await this_task::yield();
                    }
                });
            for (int round = 0; round < 31; ++round) {
                event woken;
                std::atomic<long> began = 0;
                std::thread other([&] {
                    began = steps.load();
                    woken.set();
                });
                co_await woken.wait();
                waited.push_back(steps - began);
                other.join();
            }
            over = true;
        });
    }));
    std::sort(waited.begin(), waited.end());
    // Of two loops' worth of steps; behind all of them it would be a hundred and more, again and again.
    CHECK(waited[waited.size() / 2] < tasks / 4);
}

TEST_CASE("a task that computes in long steps moves away from one that waits for the clock") {
    const test_support::with_loops unset;
    runtime rt({.loops = 2});
    std::atomic<bool> apart = false;
    std::atomic<bool> done = false;
    static_cast<void>(rt.run([&]() -> task<> {
        co_await with_group([&](task_group& g) -> task<> {
            std::atomic<std::size_t> where = 0;
            g.go([&]() -> task<> {
                channel<int> mine(1);
                while (!done) {
                    compute(5ms);
                    where = std::hash<std::thread::id>()(std::this_thread::get_id());
                    co_await or_throw(mine.send(1));
                    co_await or_throw(mine.recv());
                }
            });
            for (int i = 0; i < 1'000 && !apart; ++i) {
                co_await sleep_for(1ms);
                if (where != 0 && where != std::hash<std::thread::id>()(std::this_thread::get_id()))
                    apart = true;
            }
            done = true;
        });
    }));
    CHECK(apart);
}

TEST_CASE("functions that are posted too late do not use a ring that is another thread's") {
    const test_support::with_loops unset;
    for (int to : {0, 1}) {
        int called = 0;
        {
            runtime rt({.loops = 2, .eager = true});
            static_cast<void>(rt.run([]() -> task<> { co_return; }));
            for (int i = 0; i < 6; ++i)
                rt.loop(static_cast<std::size_t>(to)).post([&] {
                    compute(100us);
                    ++called;
                });
        }
        CHECK(called == 6);
    }
}

TEST_CASE("a heartbeat and a limit come in time beside tasks that compute on all loops") {
    struct way {
        unsigned loops;
        bool eager;
    };
    const test_support::with_loops as_asked;
    for (const way w : {way{2, false}, way{4, false}, way{2, true}}) {
        runtime_options options;
        options.loops = w.loops;
        options.eager = w.eager;
        runtime rt(options);
        std::atomic<bool> done{false};
        std::atomic<long> steps{0};
        const long most = 20'000;
        bool in_time = false;
        const auto computes = [&]() -> task<> {
            channel<int> mine(1);
            while (!done && steps < most) {
                compute(1ms);
                ++steps;
                auto sent = co_await mine.send(1);
                auto back = co_await mine.recv();
                if (!sent || !back) co_return;
            }
        };
        rt.run([&]() -> task<> {
            co_await with_group([&](task_group& g) -> task<> {
                for (unsigned i = 0; i < w.loops; ++i) g.go(computes);
                for (int beat = 0; beat < 20; ++beat) co_await sleep_for(1ms);
                auto r = co_await with_timeout(5ms, computes);
                in_time = !r && r.error() == errc::timed_out;
                done = true;
            });
        });
        CHECK(in_time);
        CHECK(steps < long(w.loops) * 20 * most_steps_late);
    }
}
