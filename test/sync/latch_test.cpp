#include "support.hpp"

#include <levada/channel/select.hpp>
#include <levada/sync/latch.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_parked;

static_assert(!std::is_copy_constructible_v<latch> && !std::is_move_constructible_v<latch>);

TEST_TASK("a wait returns when the count is zero and not before") {
    latch l(3);
    bool opened = false;
    auto h = spawn([&]() -> task<> {
        co_await l.wait();
        opened = true;
    });
    co_await until_parked(h);
    l.count_down(0);
    l.count_down(2);
    CHECK_FALSE(l.try_wait());
    CHECK_FALSE(opened);
    l.count_down();
    CHECK(l.try_wait());
    std::ignore = co_await h.join();
    CHECK(opened);
    co_await l.wait();
    latch none(0);
    CHECK(none.try_wait());
    co_await none.wait();
    co_await none.arrive_and_wait(0);
}

TEST_TASK("nobody passes arrive_and_wait before the last has arrived") {
    latch l(5);
    wait_group wg;
    int arrived = 0, early = 0;
    for (int i = 0; i < 4; ++i) {
        wg.go([&, i]() -> task<> {
            ++arrived;
            co_await l.arrive_and_wait(i == 0 ? 2 : 1);
            early += arrived != 4;
        });
    }
    co_await wg.wait();
    CHECK(early == 0);
    CHECK(l.try_wait());
}

TEST_TASK("a wait is an arm of select, and one that loses leaves the count alone") {
    latch l(1);
    auto timed = co_await select(l.wait(), after(1ms));
    CHECK(timed.index() == 1);
    auto late = co_await with_timeout(1ms, l.wait());
    CHECK(late.error() == errc::timed_out);
    CHECK_FALSE(l.try_wait());
    l.count_down();
    auto ready = co_await select(l.wait(), after(1h));
    CHECK(ready.index() == 0);
}

TEST_TASK_STAGED(
    "who is cancelled before it arrives does not arrive, and who is cancelled while it waits has") {
    latch l(3);
    auto arrives = [&]() -> task<> { co_await l.arrive_and_wait(); };
    auto before = spawn(arrives);
    before.cancel();
    std::ignore = co_await before.join();
    auto waits = spawn(arrives);
    co_await until_parked(waits);
    waits.cancel();
    auto r = co_await waits.join();
    CHECK(r.error() == errc::cancelled);
    l.count_down(); // the second of three
    CHECK_FALSE(l.try_wait());
    co_await l.arrive_and_wait();
    CHECK(l.try_wait());
}

TEST_TASK("a latch may be destroyed by any of those who passed it") {
    for (int round = 0; round < 10; ++round) {
        auto l = std::make_unique<latch>(4u);
        std::vector<join_handle<>> waiting;
        for (int i = 0; i < 4; ++i) {
            waiting.push_back(spawn([&l]() -> task<> {
                co_await l->arrive_and_wait();
                l.reset();
            }));
            if (i < 3) co_await until_parked(waiting.back());
        }
        for (auto& h : waiting) std::ignore = co_await h.join();
        CHECK(l == nullptr);
    }
}

TEST_TASK("arrivals in a row that need not wait do not grow the stack") {
    latch none(0);
    for (int i = 0; i < 20'000; ++i) co_await none.arrive_and_wait(0);
}

TEST_CASE("a plain thread's wait returns at once when the count is zero") {
    latch l(1);
    l.count_down();
    l.wait_blocking();
    CHECK(l.try_wait());
}

TEST_CASE("a count below zero terminates and names the line of the latch") {
    const unsigned line = __LINE__ + 2;
    auto d = test_support::run_to_death([] {
        latch l(2);
        l.count_down(3);
    });
    CHECK(d.aborted);
    CHECK(d.says("fell below 0"));
    CHECK(d.says("latch_test.cpp:" + std::to_string(line)));
}

TEST_CASE("an arrival too many terminates") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        latch l(1);
        co_await l.arrive_and_wait();
        co_await l.arrive_and_wait();
    });
    CHECK(d.aborted);
    CHECK(d.says("fell below 0"));
}

TEST_CASE("a latch destroyed while a task waits for it terminates") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        auto l = std::make_unique<latch>(1u);
        auto h = spawn([&raw = *l]() -> task<> { co_await raw.wait(); });
        co_await sleep_for(1ms);
        l.reset();
        std::ignore = co_await h.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("a latch was destroyed while somebody waits for it"));
}
