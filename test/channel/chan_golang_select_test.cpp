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

#include <any>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

task<> send_up_to(channel<int> c, int n) {
    for (int i = 0; i < n; ++i) co_await or_throw(c.send(i));
}

} // namespace

TEST_TASK("Go TestNonblockSelectRace: a select sees its channels at one moment") {
    for (int i = 0; i < 600; ++i) {
        channel<int> c1(1), c2(1);
        const bool closes = i % 2 == 1;
        co_await or_throw(c1.send(1));
        bool ready = false;
        wait_group wg;
        wg.go([&]() -> task<> {
            auto s = co_await select(c1.recv(), c2.recv(), otherwise);
            ready = s.index() != 2;
        });
        if (closes) c2.close();
        else co_await or_throw(c2.send(1));
        auto s = co_await select(c1.recv(), otherwise);
        co_await wg.wait();
        CHECK(ready);
    }
}

TEST_TASK("Go TestSelfSelect: send and receive on the same channel neither pair nor deadlock") {
    for (std::size_t capacity : {0u, 10u}) {
        channel<int> c(capacity);
        wait_group wg;
        int self = 0;
        for (int p = 0; p < 2; ++p) {
            wg.go([&, p]() -> task<> {
                for (int i = 0; i < 1000; ++i) {
                    if (p == 0 || i % 2 == 0) {
                        auto s = co_await select(c.send(p), c.recv());
                        if (s.index() == 1) self += capacity == 0 && get<1>(s).value() == p;
                    } else {
                        auto s = co_await select(c.recv(), c.send(p));
                        if (s.index() == 0) self += capacity == 0 && get<0>(s).value() == p;
                    }
                }
            });
        }
        co_await wg.wait();
        CHECK(self == 0);
    }
}

TEST_TASK("Go TestSelectStress: sends, receives and selects on four channels interact and all end") {
    constexpr int N = 300;
    const std::array<channel<int>, 4> c{channel<int>(), channel<int>(), channel<int>(2), channel<int>(3)};
    wait_group wg;
    for (std::size_t k = 0; k < 4; ++k) {
        wg.go(send_up_to, c[k], N);
        wg.go([&, k]() -> task<> {
            for (int i = 0; i < N; ++i) {
                auto r = co_await c[k].recv();
                CHECK(r);
            }
        });
    }
    wg.go([&]() -> task<> {
        std::array<int, 4> n{};
        auto c1 = c;
        for (int i = 0; i < 4 * N; ++i) {
            auto s = co_await select(c1[3].send(0), c1[2].send(0), c1[0].send(0), c1[1].send(0));
            constexpr std::size_t of[] = {3, 2, 0, 1};
            const std::size_t k = of[s.index()];
            if (++n[k] == N) c1[k] = nil;
        }
    });
    wg.go([&]() -> task<> {
        std::array<int, 4> n{};
        auto c1 = c;
        for (int i = 0; i < 4 * N; ++i) {
            auto s = co_await select(c1[0].recv(), c1[1].recv(), c1[2].recv(), c1[3].recv());
            if (++n[s.index()] == N) c1[s.index()] = nil;
        }
    });
    co_await wg.wait();
    for (auto& ch : c) CHECK(ch.size() == 0);
}

TEST_TASK("Go TestSelectFairness: two full channels beside two empty ones are drained evenly") {
    constexpr int trials = 10000;
    channel<char> c1(trials + 1), c2(trials + 1), c3, c4, out, done;
    for (int i = 0; i < trials + 1; ++i) {
        REQUIRE(c1.try_send(char(1)));
        REQUIRE(c2.try_send(char(2)));
    }
    wait_group wg;
    wg.go([&]() -> task<> {
        for (;;) {
            auto s = co_await select(c3.recv(), c4.recv(), c1.recv(), c2.recv());
            char b = 0;
            if (s.index() == 2) b = *get<2>(s);
            if (s.index() == 3) b = *get<3>(s);
            auto o = co_await select(out.send(b), done.recv());
            if (o.index() == 1) co_return;
        }
    });
    int counts[3] = {};
    for (int i = 0; i < trials; ++i) {
        auto b = co_await out.recv();
        ++counts[static_cast<unsigned char>(b.value())];
    }
    CHECK(counts[0] == 0);
    CHECK(std::abs(counts[1] - trials / 2) < 4.9 * std::sqrt(trials * 0.25));
    done.close();
    co_await wg.wait();
}

TEST_TASK("Go TestChanSendInterface: values of any type, in a select that cannot send") {
    struct mt {};
    auto m = std::make_shared<mt>();
    channel<std::any> c(1);
    std::any first = m, other = std::make_shared<mt>();
    co_await or_throw(c.send(first));
    auto s = co_await select(c.send(first), otherwise);
    CHECK(s.index() == 1);
    auto t = co_await select(c.send(first), c.send(std::move(other)), otherwise);
    CHECK(t.index() == 2);
    CHECK(other.has_value());
    auto r = co_await c.recv();
    CHECK(std::any_cast<std::shared_ptr<mt>>(*r) == m);
}

TEST_TASK("Go TestPseudoRandomSend: two sending arms of one channel are both used") {
    constexpr int n = 100;
    for (std::size_t capacity : {0, n}) {
        channel<int> c(capacity);
        int ones = 0;
        wait_group wg;
        wg.go([&]() -> task<> {
            for (int i = 0; i < n; ++i) {
                co_await this_task::yield();
                auto v = co_await c.recv();
                ones += v.value();
            }
        });
        for (int i = 0; i < n; ++i) {
            auto s = co_await select(c.send(1), c.send(0));
            CHECK(s.index() < 2);
        }
        co_await wg.wait();
        CHECK(ones > n / 10);
        CHECK(n - ones > n / 10);
    }
}

TEST_TASK("Go TestSelectDuplicateChannel: a select queued twice on a channel leaves its queue whole") {
    channel<int> c, d, e;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select(c.recv(), c.recv(), d.recv());
        CHECK(s.index() == 2);
        co_await or_throw(e.send(9));
    });
    co_await until_all_parked();
    wg.go([&]() -> task<> {
        auto r = co_await c.recv();
        CHECK(r.value() == 8);
    });
    co_await until_all_parked();
    co_await or_throw(d.send(7));
    auto told = co_await e.recv();
    CHECK(told.value() == 9);
    co_await or_throw(c.send(8));
    co_await wg.wait();
}

TEST_TASK("Go test/chan/select7: a send reaches a receiver that waits in whatever way") {
    for (int way = 0; way < 3; ++way) {
        channel<int> c, never;
        wait_group wg;
        wg.go([&, way]() -> task<> {
            if (way == 0) {
                auto r = co_await c.recv();
                CHECK(r.value() == 1);
            } else if (way == 1) {
                auto s = co_await select(c.recv());
                CHECK(get<0>(s).value() == 1);
            } else {
                auto s = co_await select(c.recv(), never.recv());
                CHECK(get<0>(s).value() == 1);
            }
        });
        co_await until_all_parked();
        auto s = co_await select(c.send(1), otherwise);
        CHECK(s.index() == 0);
        co_await wg.wait();
    }
}

TEST_TASK("Go test/chan/doubleselect: a select sends each number once although it names two arms") {
    constexpr int n = 2000;
    channel<int> c1, c2, c3, c4, all;
    wait_group wg;
    wg.go([&]() -> task<> {
        for (int i = 0; i < n; ++i) (void)co_await select(c1.send(i), c2.send(i), c3.send(i), c4.send(i));
        for (auto* c : {&c1, &c2, &c3, &c4}) c->close();
    });
    wait_group muxes;
    for (auto* c : {&c1, &c2, &c3, &c4}) {
        muxes.go([&, c]() -> task<> {
            while (auto v = co_await c->recv()) co_await or_throw(all.send(*v));
        });
    }
    wg.go([&]() -> task<> {
        co_await muxes.wait();
        all.close();
    });
    std::vector<int> seen(n);
    while (auto v = co_await all.recv()) ++seen[static_cast<std::size_t>(*v)];
    co_await wg.wait();
    CHECK(seen == std::vector<int>(n, 1));
}
