#include "support.hpp"

#include <levada/patterns/fan_out.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;

namespace {

std::vector<int> up_to(int n) {
    std::vector<int> items(static_cast<std::size_t>(n));
    std::iota(items.begin(), items.end(), 0);
    return items;
}

} // namespace

TEST_TASK("results come in the order of the items, whichever ends first") {
    for (std::size_t limit : {0u, 1u, 3u, 100u}) {
        auto slow_first = [](int x) -> task<std::string> {
            co_await sleep_for(std::chrono::microseconds(500 - 20 * x));
            co_return std::to_string(x);
        };
        auto all = co_await fan_out(up_to(20), slow_first, limit);
        REQUIRE(all.size() == 20);
        for (int i = 0; i < 20; ++i) CHECK(all[static_cast<std::size_t>(i)] == std::to_string(i));
    }
}

TEST_TASK("the limit is reached and never exceeded") {
    for (std::size_t limit : {1u, 2u, 7u}) {
        std::size_t running = 0;
        std::size_t most = 0;
        event full; // who has begun waits until the limit is reached
        auto f = [&](int x) -> task<int> {
            most = std::max(most, ++running);
            if (running == limit) full.set();
            co_await full.wait();
            co_await sleep_for(std::chrono::microseconds(50 + x % 3));
            co_await this_task::yield();
            --running;
            co_return x;
        };
        auto all = co_await fan_out(up_to(30), f, limit);
        CHECK(all == up_to(30));
        CHECK(most == limit);
    }
}

TEST_TASK("without a limit all items are under way at once") {
    int running = 0;
    int most = 0;
    event all; // who has begun waits for the others
    auto f = [&](int) -> task<> {
        most = std::max(most, ++running);
        if (running == 200) all.set();
        co_await all.wait();
        --running;
    };
    co_await fan_out(up_to(200), f);
    CHECK(most == 200);
    CHECK(running == 0);
}

TEST_TASK("plain callables, bool results, move-only items and results, and none at all will do") {
    auto squares = co_await fan_out(up_to(5), [](int x) { return x * x; });
    CHECK(squares == std::vector<int>{0, 1, 4, 9, 16});
    auto even = co_await fan_out(up_to(3), [](int x) { return x % 2 == 0; });
    CHECK(even == std::vector<bool>{true, false, true});
    std::vector<std::unique_ptr<int>> items;
    for (int i = 0; i < 3; ++i) items.push_back(std::make_unique<int>(i));
    auto moved = co_await fan_out(
        std::move(items), [](std::unique_ptr<int> p) -> task<std::unique_ptr<int>> { co_return p; }, 1);
    REQUIRE(moved.size() == 3);
    CHECK((*moved[0] == 0 && *moved[2] == 2));
    int called = 0;
    co_await fan_out(up_to(4), [&](int) { ++called; }, 2);
    CHECK(called == 4);
    auto nothing = co_await fan_out(std::vector<int>(), [](int x) { return x; }, 3);
    CHECK(nothing.empty());
    co_await fan_out(std::vector<int>(), [&](int) { ++called; });
    CHECK(called == 4);
}

TEST_TASK(
    "the first exception cancels the other items, starts no more, and is thrown after they have ended") {
    for (std::size_t limit : {0u, 4u}) {
        std::string log;
        int begun = 0;
        const int may_begin = limit == 0 ? 10 : 4;
        event all_begun; // of those that may
        auto f = [&](int x) -> task<int> {
            test_support::mourner m(log, 'm');
            if (++begun == may_begin) all_begun.set();
            if (x != 2) co_await sleep_for(1h);
            co_await all_begun.wait();
            throw std::runtime_error("item 2");
        };
        std::string what;
        try {
            auto all = co_await fan_out(up_to(10), f, limit);
            (void)all;
        } catch (const std::runtime_error& e) {
            what = e.what();
            CHECK(log.size() == static_cast<std::size_t>(begun));
        }
        CHECK(what == "item 2");
        CHECK(begun == may_begin);
    }
}

TEST_TASK("an exception of a plain callable is thrown too") {
    std::string what;
    try {
        co_await fan_out(up_to(10), [](int x) {
            if (x == 3) throw std::runtime_error("plain 3");
        });
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    CHECK(what == "plain 3");
}

TEST_TASK("cancelling a fan_out joins every item before the caller's frames go") {
    for (std::size_t limit : {0u, 3u}) {
        std::string log;
        auto h = spawn([&, limit]() -> task<> {
            test_support::mourner last(log, 'Z');
            auto f = [&](int) -> task<> {
                test_support::mourner m(log, 'm');
                co_await sleep_for(1h);
            };
            co_await fan_out(up_to(6), f, limit);
        });
        co_await test_support::until_all_parked();
        CHECK(log == "");
        h.cancel();
        auto r = co_await h.join();
        CHECK(r.error() == errc::cancelled);
        CHECK(log == std::string(limit == 0 ? 6 : 3, 'm') + "Z");
    }
}

TEST_TASK("a fan_out under a time limit is cut off and reports it") {
    auto f = [](int) -> task<int> {
        co_await sleep_for(1h);
        co_return 1;
    };
    auto r = co_await with_timeout(
        1ms, [&]() -> task<std::vector<int>> { co_return co_await fan_out(up_to(5), f, 2); });
    CHECK(r.error() == errc::timed_out);
}
