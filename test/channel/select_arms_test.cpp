#include "support.hpp"

#include <levada/cancel/source.hpp>
#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/task_group.hpp>
#include <levada/task/this_task.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

// Of `n` fair choices with chance `p`, within 4.9 standard deviations.
bool fair(double count, double n, double p) {
    return std::abs(count - n * p) < 4.9 * std::sqrt(n * p * (1 - p));
}

constexpr int trials = 10000;

task<int> fails() {
    co_await sleep_for(1ms);
    throw std::runtime_error("on purpose");
}

} // namespace

TEST_TASK("each of two ready arms is taken in half of 10,000 selects") {
    channel<int> a(1), b(1);
    REQUIRE(a.try_send(0));
    REQUIRE(b.try_send(0));
    int first = 0;
    for (int i = 0; i < trials; ++i) {
        auto s = co_await select(a.recv(), b.recv());
        if (s.index() == 0) {
            ++first;
            REQUIRE(a.try_send(0));
        } else {
            REQUIRE(b.try_send(0));
        }
    }
    INFO("first " << first);
    CHECK(fair(first, trials, 0.5));
}

TEST_TASK("each of three ready arms is taken in a third of 10,000 selects, next to arms that are not") {
    auto a = channel<int>::unbounded();
    channel<int> never, done(1);
    done.close();
    int taken[6] = {};
    for (int i = 0; i < trials; ++i) {
        auto s = co_await select(never.recv(), a.send(1), never.send(1), done.recv(), after(1h), after(0s));
        ++taken[s.index()];
    }
    INFO("taken " << taken[1] << ", " << taken[3] << ", " << taken[5]);
    CHECK(fair(taken[1], trials, 1.0 / 3));
    CHECK(fair(taken[3], trials, 1.0 / 3));
    CHECK(fair(taken[5], trials, 1.0 / 3));
}

TEST_TASK("the arms of a range are taken with equal chances, alone and beside another arm") {
    channel<int> a(1), b(1), c(1);
    for (auto* ch : {&a, &b, &c}) ch->close();
    int alone[3] = {}, beside[4] = {};
    for (int i = 0; i < trials; ++i) {
        std::vector<detail::recv_op<int>> arms;
        for (auto* ch : {&a, &b, &c}) arms.push_back(ch->recv());
        auto s = co_await select_range(arms);
        ++alone[s.position];
        std::vector<detail::recv_op<int>> more;
        for (auto* ch : {&a, &b, &c}) more.push_back(ch->recv());
        auto t = co_await select(select_range(more), a.recv());
        ++beside[t.index() == 1 ? 3 : get<0>(t).position];
    }
    for (int n : alone) CHECK(fair(n, trials, 1.0 / 3));
    for (int n : beside) CHECK(fair(n, trials, 1.0 / 4));
}

TEST_TASK("two arms of one channel are taken alike when the select was parked, to receive and to send") {
    channel<int> in, out;
    int first_in = 0, first_out = 0;
    wait_group wg;
    wg.go([&]() -> task<> {
        for (int i = 0; i < trials; ++i) {
            auto s = co_await select(in.recv(), in.recv());
            first_in += s.index() == 0;
            auto t = co_await select(out.send(0), out.send(1));
            first_out += t.index() == 0;
        }
    });
    for (int i = 0; i < trials; ++i) {
        while (!in.try_send(i)) co_await this_task::yield();
        for (bool got = false; !got; got = out.try_recv().has_value()) co_await this_task::yield();
    }
    co_await wg.wait();
    INFO("first in " << first_in << ", out " << first_out);
    CHECK(fair(first_in, trials, 0.5));
    CHECK(fair(first_out, trials, 0.5));
}

TEST_TASK("a timer arm wins when nothing else happens, and only then") {
    channel<int> ch;
    auto before = now();
    auto s = co_await select(ch.recv(), after(2ms));
    REQUIRE(s.index() == 1);
    static_assert(std::is_same_v<std::remove_reference_t<decltype(get<1>(s))>, std::monostate>);
    CHECK(now() - before >= 2ms);
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.send(1);
        CHECK(r);
    });
    co_await until_all_parked();
    auto t = co_await select(ch.recv(), after(1h));
    CHECK(t.index() == 0);
    co_await wg.wait();
    auto u = co_await select(ch.recv(), at(now() + 1ms));
    CHECK(u.index() == 1);
    auto v = co_await select(ch.recv(), at(now() - 1ms));
    CHECK(v.index() == 1);
}

TEST_TASK("a timer of zero is ready at once") {
    channel<int> ch;
    auto before = now();
    auto s = co_await select(ch.recv(), after(0s), after(1h));
    CHECK(s.index() == 1);
    auto t = co_await select(after(-1s), otherwise);
    CHECK(t.index() == 0);
    CHECK(now() - before < 1h);
}

TEST_TASK("of two timers the earlier one wins") {
    for (int i = 0; i < 10; ++i) {
        auto s = co_await select(after(2h), after(1ms), after(1h));
        CHECK(s.index() == 1);
    }
}

TEST_TASK("the losing timers of a thousand selects do not stay behind") {
    channel<int> ch(1);
    for (int i = 0; i < 1000; ++i) {
        wait_group wg;
        wg.go([&]() -> task<> {
            auto r = co_await ch.send(1);
            CHECK(r);
        });
        auto s = co_await select(after(1h), ch.recv(), after(2h));
        REQUIRE(s.index() == 1);
        co_await wg.wait();
    }
    executor* here = executor::current();
    CHECK(here->next_deadline() == time_point::max());
}

TEST_TASK("a token's arm gives the reason of its cancel") {
    cancel_source src;
    channel<int> ch;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select(ch.recv(), src.token().done());
        REQUIRE(s.index() == 1);
        CHECK(get<1>(s) == std::errc::io_error);
    });
    co_await until_all_parked();
    src.cancel(std::make_error_code(std::errc::io_error));
    co_await wg.wait();
    auto s = co_await select(src.token().done(), ch.recv());
    CHECK(s.index() == 0);
    auto t = co_await select(cancel_token().done(), after(1ms));
    CHECK(t.index() == 1);
}

TEST_TASK("a join's arm gives the task's value; a losing one can be joined later") {
    channel<int> ch(1);
    REQUIRE(ch.try_send(0));
    auto h = spawn([]() -> task<int> {
        co_await sleep_for(1ms);
        co_return 42;
    });
    auto first = co_await select(h.join(), ch.recv());
    CHECK(first.index() == 1);
    auto second = co_await select(h.join(), ch.recv());
    REQUIRE(second.index() == 0);
    CHECK(get<0>(second).value() == 42);
    CHECK_FALSE(h);
}

TEST_TASK("the exception of a joined task comes from get, and not from the select") {
    channel<int> ch;
    auto h = spawn(fails);
    auto s = co_await select(ch.recv(), h.join());
    REQUIRE(s.index() == 1);
    CHECK(get_if<0>(s) == nullptr);
    CHECK_THROWS_WITH(get<1>(s), "on purpose");
}

TEST_TASK("a joined task that had ended before the select is ready") {
    auto h = spawn([] { return std::string("plain"); });
    co_await until_all_parked();
    auto s = co_await select(h.join(), otherwise);
    REQUIRE(s.index() == 0);
    CHECK(get<0>(s).value() == "plain");
}

TEST_TASK("a wait_group's arm, and one that loses") {
    wait_group wg;
    wg.add(2);
    auto s = co_await select(wg.wait(), after(1ms));
    CHECK(s.index() == 1);
    wg.done();
    wait_group outer;
    outer.go([&]() -> task<> {
        auto t = co_await select(after(1h), wg.wait());
        CHECK(t.index() == 1);
    });
    co_await until_all_parked();
    wg.done();
    co_await outer.wait();
    auto u = co_await select(wg.wait(), otherwise);
    CHECK(u.index() == 0);
}

TEST_TASK("the exception of a wait_group's arm comes from get") {
    wait_group wg;
    wg.go(fails);
    auto s = co_await select(wg.wait(), after(1h));
    REQUIRE(s.index() == 0);
    CHECK_THROWS_WITH(get<0>(s), "on purpose");
}

TEST_TASK("a task_group's arm, and one that loses") {
    task_group g;
    g.go([]() -> task<> { co_await sleep_for(5ms); });
    auto s = co_await select(g.wait(), after(1ms));
    CHECK(s.index() == 1);
    auto t = co_await select(after(1h), g.wait());
    CHECK(t.index() == 1);
}

TEST_TASK("the outcome of a result has its own members, by name and as members of the result") {
    channel<std::unique_ptr<int>> ch(1);
    auto sent = co_await select(ch.send(std::make_unique<int>(4)), otherwise);
    static_assert(std::is_same_v<std::remove_reference_t<decltype(get<0>(sent))>, result<void>>);
    CHECK(sent.get<0>());
    auto s = co_await select(otherwise, ch.recv());
    CHECK((s.get_if<0>() == nullptr));
    CHECK((get_if<0>(&s) == nullptr));
    REQUIRE((get_if<1>(&s) != nullptr));
    REQUIRE((s.get_if<1>() != nullptr));
    std::unique_ptr<int> v = get<1>(std::move(s)).value();
    CHECK(*v == 4);
}

TEST_CASE("get of an arm that did not commit terminates") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        channel<int> ch(1);
        auto s = co_await select(ch.recv(), otherwise);
        (void)get<0>(s);
    });
    CHECK(d.aborted);
    CHECK(d.says("another arm committed"));
}

TEST_TASK("the done() of the task's own token commits in a select, and the next operation unwinds") {
    bool told = false;
    auto h = spawn([&]() -> task<> {
        channel<int> ch;
        auto s = co_await select(ch.recv(), this_task::token().done());
        told = s.index() == 1;
        (void)co_await ch.recv();
        FAIL_CHECK("a cancelled task went past a second operation");
    });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    CHECK(told);
}
