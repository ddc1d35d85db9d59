// What a virtual_loop's schedules reach: faults that need a task to be left before an operation that is
// ready, or before a plain call.

#include <support.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

#include <levada/levada.hpp>
#include <levada/testing.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

/// How many of 100 seeds make `f` throw.
template <class F>
int found(const F& f, interleave where = interleave::everywhere) {
    int n = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        virtual_loop loop(seed, where);
        try {
            static_cast<void>(loop.run(f));
        } catch (const std::runtime_error&) { // a deadlock is one
            ++n;
        }
    }
    return n;
}

task<> check_then_act() {
    channel<int> ch(8);
    bool sent = false;
    int times = 0;
    co_await with_group([&](task_group& g) -> task<> {
        for (int i = 0; i < 2; ++i)
            g.go([&]() -> task<> {
                if (sent) co_return;
                co_await or_throw(ch.send(1)); // there is always room
                sent = true;
                ++times;
            });
        co_return;
    });
    if (times != 1) throw std::runtime_error("done twice");
}

task<> double_close() {
    channel<int> ch;
    int lost = 0;
    co_await with_group([&](task_group& g) -> task<> {
        for (int i = 0; i < 2; ++i)
            g.go([&] {
                if (!ch.closed() && !ch.close()) ++lost;
            });
        co_return;
    });
    if (lost != 0) throw std::runtime_error("closed by another one");
}

task<> lost_wake_up() {
    event changed;
    bool ready = false;
    co_await with_group([&](task_group& g) -> task<> {
        g.go([&]() -> task<> {
            if (ready) co_return;
            changed.reset(); // too late: it may have been set
            co_await changed.wait();
        });
        g.go([&] {
            ready = true;
            changed.set();
        });
        co_return;
    });
}

task<> taken_between() {
    channel<int> ch(1);
    co_await or_throw(ch.send(1));
    int lost = 0;
    co_await with_group([&](task_group& g) -> task<> {
        for (int i = 0; i < 2; ++i)
            g.go([&] {
                if (ch.size() != 0 && !ch.try_recv()) ++lost;
            });
        co_return;
    });
    if (lost != 0) throw std::runtime_error("taken by another one");
}

task<> right_program() {
    channel<int> ch(8);
    mutex m;
    int n = 0;
    co_await with_group([&](task_group& g) -> task<> {
        for (int i = 0; i < 4; ++i)
            g.go([&]() -> task<> {
                for (int k = 0; k < 10; ++k) {
                    auto held = co_await m.lock();
                    const int was = n;
                    co_await or_throw(ch.send(k));
                    auto back = co_await ch.recv();
                    n = back ? was + 1 : 0;
                }
            });
        co_return;
    });
    if (n != 40) throw std::runtime_error("lost");
}

} // namespace

TEST_CASE("100 seeds find a check-then-act, a double close, a lost wake-up") {
    CHECK(found(check_then_act) > 0);
    CHECK(found(double_close) > 0);
    CHECK(found(lost_wake_up) > 0);
    CHECK(found(taken_between) > 0);
}

TEST_CASE("no seed finds a fault where there is none") { CHECK(found(right_program) == 0); }

TEST_CASE("with interleave::parked a task is left only where it waits") {
    CHECK(found(check_then_act, interleave::parked) == 0);
    CHECK(found(double_close, interleave::parked) == 0);
}

TEST_CASE("the same seed gives the same schedule, another one another") {
    const auto order = [](std::uint64_t seed) {
        std::string letters;
        virtual_loop loop(seed);
        loop.run([&letters]() -> task<> {
            channel<int> ch(100);
            co_await with_group([&](task_group& g) -> task<> {
                for (char name : {'a', 'b', 'c'})
                    g.go(
                        [&letters, ch](char letter) -> task<> {
                            for (int i = 0; i < 10; ++i) {
                                letters += letter;
                                co_await or_throw(ch.send(i));
                            }
                        },
                        name);
                co_return;
            });
        });
        return letters;
    };
    int others = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CHECK(order(seed) == order(seed));
        if (order(seed) != order(seed + 1)) ++others;
    }
    CHECK(others > 10);
}

TEST_CASE("exceptions that are thrown and caught around schedule points keep to their tasks") {
    explore(50, []() -> task<> {
        channel<int> ch(100);
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < 4; ++i)
                g.go(
                    [ch](int mine) -> task<> {
                        for (int k = 0; k < 5; ++k) {
                            int caught = -1;
                            try {
                                throw mine;
                            } catch (int other) {
                                static_cast<void>(ch.try_send(k)); // others run here, and throw, too
                                static_cast<void>(ch.size());
                                caught = other;
                            }
                            if (caught != mine || std::uncaught_exceptions() != 0)
                                throw std::logic_error("another task's exception");
                            co_await or_throw(ch.send(k));
                        }
                    },
                    i);
            co_return;
        });
    });
}

TEST_CASE("a callback of a cancel is not left in the middle, so who drops it need not wait for ever") {
    explore(50, []() -> task<> {
        channel<int> ch;
        cancel_source source;
        bool in_callback = false;
        auto call = [&] {
            in_callback = true;
            static_cast<void>(ch.close());
            static_cast<void>(ch.closed());
            in_callback = false;
        };
        std::optional<cancel_callback<decltype(call)>> callback;
        callback.emplace(source.token(), call);
        co_await with_group([&](task_group& g) -> task<> {
            g.go([&] { source.cancel(); });
            g.go([&]() -> task<> {
                auto end = co_await ch.recv();
                static_cast<void>(end);
                if (in_callback) throw std::logic_error("the callback was left");
                callback.reset();
            });
            co_return;
        });
    });
}

TEST_CASE("many tasks that are left at once, and deep stacks, are no more than slow") {
    virtual_loop loop(3);
    int ended = 0;
    loop.run([&ended]() -> task<> {
        channel<int> ch(10'000);
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < 1'000; ++i)
                g.go([&ended, ch]() -> task<> {
                    volatile char deep[100'000];
                    deep[0] = 1;
                    for (int k = 0; k < 3; ++k) static_cast<void>(ch.try_send(k));
                    co_await or_throw(ch.send(deep[0]));
                    ++ended;
                });
            co_return;
        });
    });
    CHECK(ended == 1'000);
}
