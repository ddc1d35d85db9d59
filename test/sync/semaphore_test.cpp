#include "support.hpp"

#include <levada/cancel/source.hpp>
#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/semaphore.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/or_cancelled.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/timeout.hpp>
#include <levada/task/with_token.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;
using test_support::until_parked;

static_assert(!std::is_copy_constructible_v<semaphore> && !std::is_move_constructible_v<semaphore>);
static_assert(!std::is_copy_constructible_v<semaphore_permit> &&
              std::is_nothrow_move_constructible_v<semaphore_permit>);

namespace {

task<> acquire_and_note(semaphore& s, std::size_t k, std::string& log, char letter) {
    auto permit = co_await s.acquire(k);
    log.push_back(letter);
    co_await this_task::yield();
}

/// Acquires, notes it, and holds the units until it is cancelled.
task<> acquire_and_stay(semaphore& s, std::size_t k, std::string& log, char letter) {
    auto permit = co_await s.acquire(k);
    log.push_back(letter);
    co_await sleep_for(1h);
}

} // namespace

TEST_TASK("a permit takes units and gives them back") {
    semaphore s(5);
    {
        auto permit = co_await s.acquire(3);
        CHECK(permit);
        CHECK(permit.count() == 3);
        CHECK(s.available() == 2);
        CHECK_FALSE(s.try_acquire(3));
        auto two = s.try_acquire(2);
        CHECK(two.count() == 2);
        CHECK(s.available() == 0);
        two.release();
        CHECK_FALSE(two);
        CHECK(two.count() == 0);
        CHECK(s.available() == 2);
        two.release(); // without effect
        CHECK(s.available() == 2);
    }
    CHECK(s.available() == 5);
}

TEST_TASK("a permit moves, and gives back what it held before") {
    semaphore a(2), b(2);
    auto permit = co_await a.acquire(2);
    semaphore_permit moved = std::move(permit);
    permit.release();
    CHECK(a.available() == 0);
    moved = co_await b.acquire();
    CHECK(a.available() == 2);
    CHECK(b.available() == 1);
    auto& same = moved;
    moved = std::move(same);
    CHECK(b.available() == 1);
    moved = semaphore_permit();
    CHECK(b.available() == 2);
}

TEST_TASK("units of a forgotten permit do not come back, and those that are added do") {
    semaphore s(3);
    auto permit = co_await s.acquire(2);
    permit.forget();
    CHECK_FALSE(permit);
    CHECK(s.available() == 1);
    s.release(4);
    CHECK(s.available() == 5);
    auto all = co_await s.acquire(5);
    CHECK(s.available() == 0);
}

TEST_TASK("an acquire of nothing is ready at once, whoever waits") {
    semaphore s(0);
    auto none = co_await s.acquire(0);
    CHECK(none);
    CHECK(none.count() == 0);
    std::string log;
    auto waits = spawn(acquire_and_note, std::ref(s), 1u, std::ref(log), 'w');
    co_await until_parked(waits);
    auto more = co_await s.acquire(0);
    auto tried = s.try_acquire(0);
    CHECK(tried);
    CHECK(log.empty());
    s.release();
    std::ignore = co_await waits.join();
}

TEST_TASK("no more tasks are inside than there are units") {
    semaphore s(3);
    wait_group wg;
    int inside = 0, most = 0;
    event full; // who is inside waits until all units are taken
    for (int i = 0; i < 12; ++i) {
        wg.go([&]() -> task<> {
            auto permit = co_await s.acquire();
            most = std::max(most, ++inside);
            if (inside == 3) full.set();
            co_await full.wait();
            co_await sleep_for(1ms);
            --inside;
        });
    }
    co_await wg.wait();
    CHECK(most == 3);
    CHECK(s.available() == 3);
}

TEST_TASK("a small acquire does not overtake a large one that waits") {
    semaphore s(2);
    std::string log;
    auto held = co_await s.acquire();
    std::vector<join_handle<>> waiting;
    for (auto [k, letter] : {std::pair<std::size_t, char>(2, 'L'), {1, 'a'}, {1, 'b'}, {2, 'M'}, {1, 'c'}}) {
        waiting.push_back(spawn(acquire_and_note, std::ref(s), k, std::ref(log), letter));
        co_await until_parked(waiting.back());
    }
    CHECK(s.available() == 1);
    CHECK_FALSE(s.try_acquire()); // it is there, and belongs to the first in line
    CHECK(log.empty());
    held.release();
    for (auto& h : waiting) std::ignore = co_await h.join();
    CHECK(log.size() == 5);
    CHECK(log.front() == 'L');
    CHECK(log.substr(3) == "Mc"); // a and b were given theirs together
    CHECK(s.available() == 2);
}

TEST_TASK("a release of many units serves all that fit, in order") {
    semaphore s(0);
    std::string log;
    std::vector<join_handle<>> waiting;
    for (auto [k, letter] : {std::pair<std::size_t, char>(2, 'a'), {1, 'b'}, {4, 'c'}, {1, 'd'}}) {
        waiting.push_back(spawn(acquire_and_stay, std::ref(s), k, std::ref(log), letter));
        co_await until_parked(waiting.back());
    }
    s.release(5);
    co_await until_all_parked();
    std::sort(log.begin(), log.end());
    CHECK(log == "ab");
    CHECK(s.available() == 2);
    s.release(2);
    co_await until_all_parked();
    CHECK(log == "abc");
    for (auto& h : waiting) h.cancel();
    for (auto& h : waiting) std::ignore = co_await h.join();
    CHECK(s.available() == 7);
}

TEST_TASK("when a large acquire at the head is cancelled those behind it that fit are served") {
    semaphore s(2);
    std::string log;
    auto large = spawn(acquire_and_note, std::ref(s), 5u, std::ref(log), 'L');
    co_await until_parked(large);
    auto a = spawn(acquire_and_note, std::ref(s), 1u, std::ref(log), 'a');
    co_await until_parked(a);
    auto b = spawn(acquire_and_note, std::ref(s), 1u, std::ref(log), 'b');
    co_await until_parked(b);
    co_await until_all_parked();
    CHECK(log.empty());
    large.cancel();
    std::ignore = co_await large.join();
    std::ignore = co_await a.join();
    std::ignore = co_await b.join();
    CHECK(log.size() == 2);
    CHECK(s.available() == 2);
}

TEST_TASK("when a large acquire at the head loses in its select those behind it are served") {
    semaphore s(1);
    channel<int> ch;
    std::string log;
    auto large = spawn([&]() -> task<> {
        auto r = co_await select(s.acquire(5), ch.recv(), s.acquire(3));
        CHECK(r.index() == 1);
    });
    co_await until_parked(large);
    cancel_source give_up;
    auto bounded = spawn([&]() -> task<> {
        auto r = co_await with_token(give_up.token(), s.acquire(7));
        CHECK(r.error() == errc::cancelled);
    });
    co_await until_parked(bounded);
    auto small = spawn(acquire_and_note, std::ref(s), 1u, std::ref(log), 's');
    co_await until_parked(small);
    CHECK(ch.try_send(1));
    std::ignore = co_await large.join();
    CHECK(log.empty()); // the next large one is in front now
    give_up.cancel();
    std::ignore = co_await bounded.join();
    std::ignore = co_await small.join();
    CHECK(log == "s");
    CHECK(s.available() == 1);
}

TEST_TASK("a large acquire that was given up and not yet unlinked loses no unit and no waiter") {
    semaphore s(0);
    std::string log;
    auto large = spawn(acquire_and_note, std::ref(s), 3u, std::ref(log), 'L');
    co_await until_parked(large);
    auto small = spawn(acquire_and_note, std::ref(s), 1u, std::ref(log), 's');
    co_await until_parked(small);
    large.cancel(); // its task has yet to run
    s.release(1);   // too little for the one that is gone, enough for the next
    std::ignore = co_await small.join();
    CHECK(log == "s");
    std::ignore = co_await large.join();
    CHECK(s.available() == 1);

    auto again = spawn(acquire_and_note, std::ref(s), 2u, std::ref(log), 'L');
    co_await until_parked(again);
    again.cancel();
    s.release(1); // enough for the one that is gone
    CHECK(s.available() == 2);
    std::ignore = co_await again.join();
    CHECK(s.available() == 2);
    CHECK(log == "s");
}

TEST_TASK("arms of one select on one semaphore do not wait for each other") {
    semaphore s(0);
    auto h = spawn([&]() -> task<> {
        auto r = co_await select(s.acquire(5), s.acquire(1), s.acquire(4));
        CHECK(r.index() == 1);
        CHECK(get<1>(r).count() == 1);
        CHECK(s.available() == 0);
    });
    co_await until_parked(h);
    std::string log;
    auto next = spawn(acquire_and_note, std::ref(s), 1u, std::ref(log), 'n');
    co_await until_parked(next);
    s.release();
    std::ignore = co_await h.join();
    std::ignore = co_await next.join();
    CHECK(log == "n");
    CHECK(s.available() == 1);
}

TEST_TASK("an acquire that loses takes nothing, and an outcome that is dropped gives back") {
    semaphore s(1);
    channel<int> ready(1);
    REQUIRE(ready.try_send(1));
    auto r = co_await select_in_order(ready.recv(), s.acquire());
    CHECK(r.index() == 0);
    CHECK(s.available() == 1);
    std::ignore = co_await s.acquire();
    std::ignore = co_await select(s.acquire(), after(1h));
    std::ignore = co_await with_timeout(1h, s.acquire());
    std::ignore = co_await or_cancelled(s.acquire());
    static_cast<void>(s.acquire()); // never awaited
    CHECK(s.available() == 1);
    auto late = co_await with_timeout(1ms, s.acquire(2));
    CHECK(late.error() == errc::timed_out);
    CHECK(s.available() == 1);
}

TEST_TASK_STAGED("units that were given before the cancel are given back by the task that unwinds") {
    semaphore s(0);
    std::string log;
    auto h = spawn(acquire_and_note, std::ref(s), 2u, std::ref(log), 'h');
    co_await until_parked(h);
    s.release(2);
    h.cancel();
    CHECK(s.available() == 0);
    std::ignore = co_await h.join();
    CHECK(log == "h"); // it had committed; the yield after it unwound
    CHECK(s.available() == 2);
}

TEST_TASK("an acquire that can never be met waits until it is given up") {
    semaphore s(1);
    auto r = co_await with_timeout(5ms, s.acquire(std::numeric_limits<std::size_t>::max()));
    CHECK(r.error() == errc::timed_out);
    CHECK(s.available() == 1);
}

TEST_TASK("a semaphore may be destroyed by the last one to give back") {
    for (int i = 0; i < 20; ++i) {
        auto s = std::make_unique<semaphore>(1u);
        auto permit = co_await s->acquire();
        auto h = spawn([&]() -> task<> {
            auto mine = co_await s->acquire();
            mine.release();
            s.reset();
        });
        co_await until_parked(h);
        permit.release();
        std::ignore = co_await h.join();
        CHECK(s == nullptr);
    }
}

TEST_CASE("an operation that has committed and is never asked for its outcome gives units back") {
    semaphore s(3);
    {
        auto op = s.acquire(2);
        detail::work_list ready;
        CHECK(op.try_commit(ready));
        CHECK(s.available() == 1);
    }
    CHECK(s.available() == 3);
}

TEST_CASE("a plain thread acquires and gives back") {
    semaphore s(2);
    {
        auto permit = s.acquire_blocking(2);
        CHECK(s.available() == 0);
    }
    CHECK(s.available() == 2);
}

TEST_CASE("a semaphore destroyed while a task waits for it terminates and names where it was made") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        std::unique_ptr<semaphore> s(new semaphore(0));
        auto h = spawn([&raw = *s]() -> task<> { std::ignore = co_await raw.acquire(); });
        co_await until_all_parked();
        s.reset();
        std::ignore = co_await h.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("a semaphore was destroyed while somebody waits for it"));
    CHECK(d.says("semaphore_test.cpp:"));
}

TEST_CASE("a semaphore destroyed while a permit holds units terminates") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        auto s = std::make_unique<semaphore>(2u);
        auto permit = co_await s->acquire();
        s.reset();
    });
    CHECK(d.aborted);
    CHECK(d.says("a semaphore was destroyed while permits hold units"));
}

TEST_CASE("more units than can be counted terminate") {
    auto d = test_support::run_to_death([] {
        semaphore s(std::numeric_limits<std::size_t>::max() - 1);
        auto permit = s.try_acquire(7);
        s.release();
        s.release();
    });
    CHECK(d.aborted);
    CHECK(d.says("more units than can be counted"));
}
