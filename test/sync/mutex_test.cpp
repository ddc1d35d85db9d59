#include "support.hpp"

#include <levada/channel/select.hpp>
#include <levada/sync/mutex.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/or_cancelled.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/timeout.hpp>
#include <levada/task/with_token.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;
using test_support::until_parked;

static_assert(!std::is_copy_constructible_v<mutex> && !std::is_move_constructible_v<mutex>);
static_assert(!std::is_copy_constructible_v<mutex_guard> &&
              std::is_nothrow_move_constructible_v<mutex_guard>);

namespace {

task<> lock_and_note(mutex& m, std::string& log, char letter) {
    auto guard = co_await m.lock();
    log.push_back(letter);
    co_await this_task::yield();
}

bool is_free(mutex& m) { return m.try_lock().owns_lock(); }

} // namespace

TEST_TASK("a free mutex is locked at once, and unlocked by its guard") {
    mutex m;
    {
        auto guard = co_await m.lock();
        CHECK(guard);
        CHECK_FALSE(is_free(m));
    }
    CHECK(is_free(m));
    auto guard = co_await m.lock();
    guard.unlock();
    CHECK_FALSE(guard.owns_lock());
    CHECK(is_free(m));
    guard.unlock(); // without effect
    auto other = m.try_lock();
    guard.unlock();
    CHECK_FALSE(is_free(m));
}

TEST_TASK("a guard moves, and unlocks what it held before") {
    mutex a, b;
    auto guard = co_await a.lock();
    mutex_guard moved = std::move(guard);
    CHECK(moved.owns_lock());
    CHECK_FALSE(is_free(a));
    moved = co_await b.lock();
    CHECK(is_free(a));
    CHECK_FALSE(is_free(b));
    auto& same = moved;
    moved = std::move(same);
    CHECK_FALSE(is_free(b));
    moved = mutex_guard();
    CHECK(is_free(b));
}

TEST_TASK("tasks that hold a mutex across awaits exclude each other") {
    mutex m;
    wait_group wg;
    int inside = 0, count = 0;
    bool alone = true;
    for (int i = 0; i < 8; ++i) {
        wg.go([&]() -> task<> {
            for (int k = 0; k < 5; ++k) {
                auto guard = co_await m.lock();
                alone &= ++inside == 1;
                co_await this_task::yield();
                --inside;
                ++count;
            }
        });
    }
    co_await wg.wait();
    CHECK(alone);
    CHECK(count == 40);
}

TEST_TASK("a mutex is handed to who has waited longest, and nobody comes in between") {
    mutex m;
    std::string log;
    auto guard = co_await m.lock();
    std::vector<join_handle<>> waiting;
    for (char c = 'a'; c <= 'e'; ++c) {
        waiting.push_back(spawn(lock_and_note, std::ref(m), std::ref(log), c));
        co_await until_parked(waiting.back());
    }
    guard.unlock();
    CHECK_FALSE(is_free(m)); // it has an owner, though that one has yet to run
    co_await lock_and_note(m, log, 'z');
    for (auto& h : waiting) std::ignore = co_await h.join();
    CHECK(log == "abcdez");
    CHECK(is_free(m));
}

TEST_TASK("a lock that loses in a select holds nothing, and leaves its place to the next") {
    mutex m;
    std::string log;
    auto guard = co_await m.lock();
    auto loser = spawn([&]() -> task<> {
        auto s = co_await select(m.lock(), after(1ms), m.lock());
        log += s.index() == 1 ? '1' : '?';
    });
    co_await until_parked(loser);
    auto next = spawn(lock_and_note, std::ref(m), std::ref(log), 'n');
    co_await until_parked(next);
    std::ignore = co_await loser.join();
    guard.unlock();
    std::ignore = co_await next.join();
    CHECK(log == "1n");
    CHECK(is_free(m));
}

TEST_TASK("a select over two locks takes one of them") {
    mutex a, b;
    auto held_a = co_await a.lock();
    auto held_b = co_await b.lock();
    auto h = spawn([&]() -> task<> {
        auto s = co_await select(a.lock(), b.lock(), a.lock());
        CHECK(s.index() == 1);
        CHECK(get<1>(s).owns_lock());
        CHECK_FALSE(is_free(b));
        held_a.unlock();
        CHECK(is_free(a));
    });
    co_await until_parked(h);
    held_b.unlock();
    std::ignore = co_await h.join();
    CHECK(is_free(b));
    auto s = co_await select(a.lock(), a.lock()); // ready at once
    CHECK_FALSE(is_free(a));
}

TEST_TASK("an outcome that is dropped unlocks") {
    mutex m;
    std::ignore = co_await m.lock();
    CHECK(is_free(m));
    std::ignore = co_await select(m.lock(), after(1h));
    CHECK(is_free(m));
    std::ignore = co_await with_timeout(1h, m.lock());
    CHECK(is_free(m));
    std::ignore = co_await or_cancelled(m.lock());
    CHECK(is_free(m));
    static_cast<void>(m.lock()); // never awaited
    CHECK(is_free(m));
}

TEST_TASK("with_timeout around a lock gives up, or gives the guard") {
    mutex m;
    auto guard = co_await m.lock();
    auto late = co_await with_timeout(1ms, m.lock());
    CHECK(late.error() == errc::timed_out);
    cancel_source src;
    auto h = spawn([&]() -> task<> {
        auto r = co_await with_token(src.token(), m.lock());
        CHECK(r.error() == errc::cancelled);
    });
    co_await until_parked(h);
    src.cancel();
    std::ignore = co_await h.join();
    guard.unlock();
    auto in_time = co_await with_timeout(1ms, m.lock());
    CHECK(in_time.has_value());
    CHECK_FALSE(is_free(m));
}

TEST_TASK("a cancelled waiter is passed over") {
    mutex m;
    std::string log;
    auto guard = co_await m.lock();
    auto gone = spawn(lock_and_note, std::ref(m), std::ref(log), 'g');
    co_await until_parked(gone);
    auto stays = spawn(lock_and_note, std::ref(m), std::ref(log), 's');
    co_await until_parked(stays);
    gone.cancel();
    guard.unlock(); // before the cancelled one has unlinked
    std::ignore = co_await gone.join();
    std::ignore = co_await stays.join();
    CHECK(log == "s");
    CHECK(is_free(m));
}

TEST_TASK_STAGED("a lock that was handed over before the cancel is held until its task unwinds") {
    mutex m;
    std::string log;
    auto guard = co_await m.lock();
    auto h = spawn(lock_and_note, std::ref(m), std::ref(log), 'h');
    co_await until_parked(h);
    guard.unlock();
    h.cancel();
    CHECK_FALSE(is_free(m));
    std::ignore = co_await h.join();
    CHECK(log == "h"); // it had committed; the yield after it unwound
    CHECK(is_free(m));
}

TEST_TASK("a task that is cancelled while it holds a mutex unlocks as it unwinds") {
    mutex m;
    auto holder = spawn([&]() -> task<> {
        auto guard = co_await m.lock();
        co_await sleep_for(1h);
    });
    co_await until_parked(holder);
    std::string log;
    auto next = spawn(lock_and_note, std::ref(m), std::ref(log), 'n');
    co_await until_parked(next);
    holder.cancel();
    std::ignore = co_await next.join();
    CHECK(log == "n");
    std::ignore = co_await holder.join();
}

TEST_TASK("a mutex may be destroyed by the one it was handed to") {
    for (int i = 0; i < 20; ++i) {
        auto m = std::make_unique<mutex>();
        auto guard = co_await m->lock();
        auto h = spawn([&]() -> task<> {
            auto mine = co_await m->lock();
            mine.unlock();
            m.reset();
        });
        co_await until_parked(h);
        guard.unlock();
        std::ignore = co_await h.join();
        CHECK(m == nullptr);
    }
}

TEST_CASE("an operation that has committed and is never asked for its outcome unlocks") {
    mutex m;
    {
        auto op = m.lock();
        detail::work_list ready;
        CHECK(op.try_commit(ready));
        CHECK_FALSE(m.try_lock());
    }
    CHECK(m.try_lock());
}

TEST_CASE("a plain thread's lock is free again after it") {
    mutex m;
    {
        auto guard = m.lock_blocking();
        CHECK(guard);
        CHECK_FALSE(m.try_lock());
    }
    CHECK(m.try_lock());
}

TEST_CASE("a mutex destroyed while it is held terminates and names where it was made") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        std::unique_ptr<mutex> m(new mutex());
        auto guard = co_await m->lock();
        m.reset();
    });
    CHECK(d.aborted);
    CHECK(d.says("a mutex was destroyed while it is held"));
    CHECK(d.says("mutex_test.cpp:"));
}

TEST_CASE("a mutex destroyed while a task waits for it terminates") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        auto m = std::make_unique<mutex>();
        auto guard = co_await m->lock();
        auto h = spawn([&raw = *m]() -> task<> { std::ignore = co_await raw.lock(); });
        co_await until_all_parked();
        m.reset();
        std::ignore = co_await h.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("a mutex was destroyed while somebody waits for it"));
}

TEST_CASE("lock_blocking on a loop's own thread terminates") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        mutex m;
        auto guard = m.lock_blocking();
        co_return;
    });
    CHECK(d.aborted);
    CHECK(d.says("a blocking call was made on a loop's own thread"));
}

TEST_CASE("locking twice in one task is a deadlock that names the lock") {
    virtual_loop loop(1);
    std::string said;
    try {
        loop.run([]() -> task<> {
            mutex m;
            auto guard = co_await m.lock();
            auto again = co_await m.lock();
        });
    } catch (const deadlock& e) {
        said = e.what();
    }
    CHECK(said.find("mutex::lock") != std::string::npos);
}
