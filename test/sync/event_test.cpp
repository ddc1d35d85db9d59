#include "support.hpp"

#include <levada/channel/select.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/or_cancelled.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <type_traits>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_parked;

static_assert(!std::is_copy_constructible_v<event> && !std::is_move_constructible_v<event>);

TEST_TASK("a wait returns at once while the event is set, and waits after a reset") {
    event e;
    CHECK_FALSE(e.is_set());
    e.set();
    e.set();
    CHECK(e.is_set());
    co_await e.wait();
    co_await e.wait();
    e.reset();
    CHECK_FALSE(e.is_set());
    auto late = co_await with_timeout(1ms, e.wait());
    CHECK(late.error() == errc::timed_out);
    event born(true);
    co_await born.wait();
}

TEST_TASK("set wakes all who wait") {
    event e;
    int woken = 0;
    std::vector<join_handle<>> waiting;
    for (int i = 0; i < 10; ++i) {
        waiting.push_back(spawn([&]() -> task<> {
            co_await e.wait();
            ++woken;
        }));
        co_await until_parked(waiting.back());
    }
    CHECK(woken == 0);
    e.set();
    for (auto& h : waiting) std::ignore = co_await h.join();
    CHECK(woken == 10);
}

TEST_TASK("who was woken returns though the event be reset before it runs") {
    event e;
    bool woken = false;
    auto h = spawn([&]() -> task<> {
        co_await e.wait();
        woken = true;
    });
    co_await until_parked(h);
    e.set();
    e.reset();
    std::ignore = co_await h.join();
    CHECK(woken);
}

TEST_TASK("a wait is an arm of select, and one that loses is gone") {
    event e, other;
    auto timed = co_await select(e.wait(), after(1ms), e.wait());
    CHECK(timed.index() == 1);
    auto h = spawn([&]() -> task<> {
        auto s = co_await select(other.wait(), e.wait(), after(1h));
        CHECK(s.index() == 1);
    });
    co_await until_parked(h);
    e.set();
    std::ignore = co_await h.join();
    auto ready = co_await select_in_order(other.wait(), e.wait());
    CHECK(ready.index() == 1);
}

TEST_TASK("a cancelled wait is withdrawn, and the others wait on") {
    event e;
    bool woken = false;
    auto gone = spawn([&]() -> task<> { co_await e.wait(); });
    co_await until_parked(gone);
    auto stays = spawn([&]() -> task<> {
        co_await e.wait();
        woken = true;
    });
    co_await until_parked(stays);
    gone.cancel();
    auto r = co_await gone.join();
    CHECK(r.error() == errc::cancelled);
    CHECK_FALSE(woken);
    e.set();
    std::ignore = co_await stays.join();
    CHECK(woken);
}

TEST_TASK("the first of those who were woken may destroy the event under the others") {
    for (int round = 0; round < 10; ++round) {
        auto e = std::make_unique<event>();
        std::vector<join_handle<>> waiting;
        for (int i = 0; i < 4; ++i) {
            waiting.push_back(spawn([&e, i]() -> task<> {
                event& it = *e;
                switch (i) {
                    case 0: co_await it.wait(); break;
                    case 1: std::ignore = co_await select(it.wait(), after(1h)); break;
                    case 2: std::ignore = co_await with_timeout(1h, it.wait()); break;
                    default: std::ignore = co_await or_cancelled(it.wait());
                }
                e.reset();
            }));
            co_await until_parked(waiting.back());
        }
        e->set();
        for (auto& h : waiting) std::ignore = co_await h.join();
        CHECK(e == nullptr);
    }
}

TEST_CASE("a plain thread's wait returns at once while the event is set") {
    event e(true);
    e.wait_blocking();
    CHECK(e.is_set());
}

TEST_CASE("an event destroyed while a task waits for it terminates and names where it was made") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        std::unique_ptr<event> e(new event());
        auto h = spawn([&raw = *e]() -> task<> { co_await raw.wait(); });
        co_await sleep_for(1ms);
        e.reset();
        std::ignore = co_await h.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("an event was destroyed while somebody waits for it"));
    CHECK(d.says("event_test.cpp:"));
}
