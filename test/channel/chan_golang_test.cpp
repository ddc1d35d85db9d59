// After Go's runtime/chan_test.go and test/chan/*.go (BSD licence, The Go Authors), case by case. What they
// try by chance on several threads runs here under many schedules. Left out: TestShrinkStackDuringBlockedSend
// and its kind, for there are no stacks that move.

#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/or_throw.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <utility>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

task<> send_up_to(channel<int> c, int n) {
    for (int i = 0; i < n; ++i) co_await or_throw(c.send(i));
}

task<> receive_one(channel<int> c, bool& received) {
    auto r = co_await c.recv();
    received = r.has_value();
}

task<> count_values(channel<int> c, int n, channel<std::map<int, int>> done) {
    std::map<int, int> seen;
    for (int i = 0; i < n; ++i) {
        auto v = co_await c.recv();
        ++seen[v.value()];
    }
    co_await or_throw(done.send(std::move(seen)));
}

constexpr std::size_t capacities[] = {0, 1, 2, 3, 7, 19, 64};

} // namespace

TEST_TASK("Go TestChan: a receive from an empty channel blocks") {
    for (std::size_t capacity : capacities) {
        channel<int> c(capacity);
        bool recv1 = false, recv2 = false;
        wait_group wg;
        wg.go([&]() -> task<> { co_await receive_one(c, recv1); });
        wg.go([&]() -> task<> { co_await receive_one(c, recv2); });
        co_await until_all_parked();
        CHECK_FALSE(recv1);
        CHECK_FALSE(recv2);
        auto s = co_await select(c.recv(), otherwise);
        CHECK(s.index() == 1);
        co_await or_throw(c.send(0));
        co_await or_throw(c.send(0));
        co_await wg.wait();
        CHECK(recv1);
        CHECK(recv2);
    }
}

TEST_TASK("Go TestChan: a send to a full channel blocks") {
    for (std::size_t capacity : capacities) {
        channel<int> c(capacity);
        for (std::size_t i = 0; i < capacity; ++i) co_await or_throw(c.send(static_cast<int>(i)));
        bool sent = false;
        wait_group wg;
        wg.go([&]() -> task<> {
            co_await or_throw(c.send(0));
            sent = true;
        });
        co_await until_all_parked();
        CHECK_FALSE(sent);
        auto s = co_await select(c.send(0), otherwise);
        CHECK(s.index() == 1);
        auto r = co_await c.recv();
        CHECK(r);
        co_await wg.wait();
        CHECK(sent);
    }
}

TEST_TASK("Go TestChan: a closed channel gives what it holds, then its end, and close unblocks") {
    for (std::size_t capacity : capacities) {
        channel<int> c(capacity);
        const int n = static_cast<int>(capacity);
        co_await send_up_to(c, n);
        c.close();
        for (int i = 0; i < n; ++i) {
            auto v = co_await c.recv();
            CHECK(v.value() == i);
        }
        for (int i = 0; i < 2; ++i) {
            auto v = co_await c.recv();
            CHECK(v.error() == errc::closed);
        }
        channel<int> d(capacity);
        channel<bool> done;
        wait_group wg;
        wg.go([&]() -> task<> {
            auto v = co_await d.recv();
            co_await or_throw(done.send(v.error() == errc::closed));
        });
        co_await until_all_parked();
        d.close();
        auto closed = co_await done.recv();
        CHECK(closed.value());
        co_await wg.wait();
    }
}

TEST_TASK("Go TestChan: integers arrive uncorrupted and in order") {
    for (std::size_t capacity : capacities) {
        channel<int> c(capacity);
        wait_group wg;
        for (int round = 0; round < 2; ++round) {
            wg.go(send_up_to, c, 100);
            for (int i = 0; i < 100; ++i) {
                auto v = co_await c.recv();
                CHECK(v.value() == i);
            }
        }
        co_await wg.wait();
    }
}

TEST_TASK("Go TestChan: four senders and four receivers see every value four times") {
    for (std::size_t capacity : {0u, 3u, 64u}) {
        constexpr int P = 4, L = 250;
        channel<int> c(capacity);
        channel<std::map<int, int>> done;
        wait_group wg;
        for (int p = 0; p < P; ++p) wg.go(send_up_to, c, L);
        for (int p = 0; p < P; ++p) wg.go(count_values, c, L, done);
        std::map<int, int> all;
        for (int p = 0; p < P; ++p) {
            auto seen = co_await done.recv();
            for (auto [value, times] : seen.value()) all[value] += times;
        }
        CHECK(all.size() == L);
        bool right = true;
        for (auto [value, times] : all) right &= times == P;
        CHECK(right);
        co_await wg.wait();
    }
}

TEST_TASK("Go TestNonblockRecvRace: a value that was there before a close is there for otherwise") {
    for (int i = 0; i < 300; ++i) {
        channel<int> c(1);
        co_await or_throw(c.send(1));
        std::size_t took = 9;
        wait_group wg;
        wg.go([&]() -> task<> {
            auto s = co_await select(c.recv(), otherwise);
            took = s.index();
        });
        c.close();
        (void)co_await c.recv();
        co_await wg.wait();
        CHECK(took == 0);
    }
}

TEST_TASK("Go TestMultiConsumer: many workers range over one channel and lose nothing") {
    constexpr int nwork = 23, niter = 5000;
    const std::array<int, 10> pn{2, 3, 7, 11, 13, 17, 19, 23, 27, 31};
    channel<int> q(nwork * 3), r(nwork * 3);
    wait_group workers, feeder;
    for (std::size_t w = 0; w < nwork; ++w) {
        workers.go([&, w]() -> task<> {
            while (auto v = co_await q.recv()) {
                if (pn[w % pn.size()] == *v) co_await this_task::yield();
                co_await or_throw(r.send(*v));
            }
        });
    }
    long expect = 0;
    feeder.go([&]() -> task<> {
        for (int i = 0; i < niter; ++i) {
            const int v = pn[static_cast<std::size_t>(i) % pn.size()];
            expect += v;
            co_await or_throw(q.send(v));
        }
        q.close();
        co_await workers.wait();
        r.close();
    });
    int n = 0;
    long sum = 0;
    while (auto v = co_await r.recv()) {
        ++n;
        sum += *v;
    }
    co_await feeder.wait();
    CHECK(n == niter);
    CHECK(sum == expect);
}
