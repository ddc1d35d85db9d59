#include "support.hpp"

#include <levada/base/clock.hpp>
#include <levada/channel/ticker.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <optional>
#include <ratio>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;

// Those that name long times run on a virtual loop only.

TEST_TASK("a sleep is never shorter than it was asked to be") {
    for (auto d : {1ns, 1000ns, 999'999ns, 1'000'001ns}) {
        const auto before = now();
        co_await sleep_for(d);
        CHECK(now() - before >= d);
    }
    const auto before = now();
    co_await sleep_for(std::chrono::duration<double, std::nano>(1000.5));
    CHECK(now() - before >= 1001ns);
    const auto deadline = now() + 1500us;
    co_await sleep_until(deadline);
    CHECK(now() >= deadline);
}

LEVADA_TEST_CASE("virtual time moves straight to the deadline and no further") {
    const auto start = now();
    co_await sleep_for(24h);
    CHECK(now() - start == 24h);
    co_await sleep_until(start + 48h);
    CHECK(now() - start == 48h);
    co_await sleep_for(1ns);
    CHECK(now() - start == 48h + 1ns);
}

LEVADA_TEST_CASE("time does not pass while a task is ready to run") {
    const auto start = now();
    wait_group wg;
    wg.go([]() -> task<> { co_await sleep_for(1h); });
    for (int i = 0; i < 100; ++i) co_await this_task::yield();
    CHECK(now() == start);
    co_await wg.wait();
    CHECK(now() - start == 1h);
}

TEST_TASK("sleepers wake in the order of their deadlines, not of their starts") {
    // Where one of the deadlines has passed before all sleep, there is no order: then once more, with later
    // ones.
    std::vector<int> woken;
    bool in_time = false;
    for (duration unit = 1ms; !in_time; unit *= 2) {
        woken.clear();
        const time_point start = now();
        wait_group wg;
        for (int n : {7, 3, 9, 1, 5}) {
            wg.go([&, n]() -> task<> {
                co_await sleep_until(start + n * unit);
                woken.push_back(n);
            });
        }
        co_await test_support::until_all_parked();
        in_time = now() < start + unit;
        co_await wg.wait();
    }
    CHECK(woken == std::vector<int>{1, 3, 5, 7, 9});
}

LEVADA_TEST_CASE("a thousand timers, some of them taken back, fire at their own time each") {
    std::vector<duration> woken;
    const auto start = now();
    wait_group wg;
    std::vector<join_handle<>> taken_back;
    for (int i = 0; i < 1000; ++i) {
        const duration d = std::chrono::seconds(1 + (i * 7919) % 1000);
        if (i % 3 == 0) {
            taken_back.push_back(spawn([d]() -> task<> {
                co_await sleep_for(d);
                FAIL_CHECK("a cancelled sleep came back");
            }));
        } else {
            wg.go([&woken, start, d]() -> task<> {
                co_await sleep_for(d);
                CHECK(now() - start == d);
                woken.push_back(d);
            });
        }
    }
    co_await sleep_for(500ms);
    for (auto& h : taken_back) h.cancel();
    co_await wg.wait();
    CHECK(woken.size() == 666);
    CHECK(std::is_sorted(woken.begin(), woken.end()));
    CHECK(executor::current()->next_deadline() == time_point::max());
}

TEST_TASK("a sleep of zero, of less, or into the past does not wait") {
    const auto before = now();
    co_await sleep_for(0s);
    co_await sleep_for(-1s);
    co_await sleep_for(std::chrono::hours::min());
    co_await sleep_for(duration::min());
    co_await sleep_for(-std::numeric_limits<double>::infinity() * std::chrono::duration<double>(1));
    co_await sleep_until(now());
    co_await sleep_until(now() - 1h);
    co_await sleep_until(time_point::min());
    CHECK(now() - before < 1h);
}

TEST_TASK("the longest sleeps last for ever instead of wrapping around, and can be cancelled") {
    std::vector<join_handle<>> sleepers;
    sleepers.push_back(spawn([]() -> task<> { co_await sleep_for(std::chrono::hours::max()); }));
    sleepers.push_back(spawn([]() -> task<> { co_await sleep_for(duration::max()); }));
    sleepers.push_back(spawn([]() -> task<> {
        co_await sleep_for(std::chrono::duration<double>(std::numeric_limits<double>::infinity()));
    }));
    sleepers.push_back(spawn([]() -> task<> { co_await sleep_for(std::chrono::years(200'000)); }));
    sleepers.push_back(spawn([]() -> task<> { co_await sleep_until(time_point::max()); }));
    co_await test_support::until_all_parked();
    CHECK(executor::current()->next_deadline() == time_point::max());
    for (auto& h : sleepers) {
        CHECK_FALSE(h.done());
        h.cancel();
        auto r = co_await h.join();
        CHECK(r.error() == errc::cancelled);
    }
}

LEVADA_TEST_CASE("a sleep is taken back when its task is cancelled, and others go on") {
    const auto start = now();
    auto h = spawn([]() -> task<> { co_await sleep_for(1h); });
    auto other = spawn([]() -> task<> { co_await sleep_for(2h); });
    co_await sleep_for(1min);
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    CHECK(now() - start == 1min);
    auto o = co_await other.join();
    CHECK(o);
    CHECK(now() - start == 2h);
}

LEVADA_TEST_CASE("a sleep that is over returns although a cancel came in the same instant") {
    bool woke = false;
    const auto at_once = now() + 1s;
    auto h = spawn([&]() -> task<> {
        co_await sleep_until(at_once);
        woke = true;
    });
    auto canceller = spawn([&]() -> task<> {
        co_await sleep_until(at_once);
        h.cancel();
    });
    auto c = co_await canceller.join();
    CHECK(c);
    auto r = co_await h.join();
    CHECK(r.has_value() == woke);
    CHECK(woke); // both timers fired before either task ran
}

TEST_TASK_ALONE("a ticker that is dropped is gone at once, and not at its next tick") {
    const std::size_t before = frame_pool::live();
    for (int i = 0; i < 1000; ++i) {
        auto t = ticker(1h);
        co_await this_task::yield();
    }
    for (int i = 0; i < 100 && frame_pool::live() != before; ++i) co_await this_task::yield();
    CHECK(frame_pool::live() == before);
    CHECK(executor::current()->next_deadline() == time_point::max());
}

LEVADA_TEST_CASE("a ticker whose handle goes while a receive waits ticks for that") {
    std::optional<recv_channel<time_point>> t = ticker(1s);
    auto receiving = [&t]() -> task<time_point> {
        auto tick = co_await t->recv();
        co_return tick.value();
    };
    const auto start = now();
    auto h = spawn(std::ref(receiving));
    co_await this_task::yield();
    co_await test_support::until_parked(h);
    t.reset();
    auto r = co_await h.join();
    CHECK(test_support::holds(r, start + 1s));
}
