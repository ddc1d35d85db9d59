#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

using box = std::unique_ptr<int>;

} // namespace

TEST_TASK("exactly one of two ready arms commits, and the other consumes nothing") {
    for (int i = 0; i < 50; ++i) {
        channel<int> a(1), b(1);
        REQUIRE(a.try_send(1));
        REQUIRE(b.try_send(2));
        auto s = co_await select(a.recv(), b.recv());
        CHECK(a.size() + b.size() == 1);
        if (s.index() == 0) {
            CHECK(get<0>(s).value() == 1);
            CHECK(b.try_recv().value() == 2);
        } else {
            CHECK(get<1>(s).value() == 2);
            CHECK(a.try_recv().value() == 1);
        }
    }
}

TEST_TASK("of two arms that become ready at once while the select is parked, one commits") {
    channel<int> a(1), b(1);
    int from = 0;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select(a.recv(), b.recv());
        from = s.index() == 0 ? get<0>(s).value() : get<1>(s).value();
    });
    co_await until_all_parked();
    REQUIRE(a.try_send(1)); // goes to the select
    REQUIRE(b.try_send(2)); // must stay
    CHECK(a.size() == 0);
    CHECK(b.size() == 1);
    co_await wg.wait();
    CHECK(from == 1);
    CHECK(b.try_recv().value() == 2);
}

TEST_TASK("a parked select that won by one arm is not left in the queues of the others") {
    channel<int> a, b;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select(a.recv(), b.recv());
        CHECK(s.index() == 1);
    });
    co_await until_all_parked();
    REQUIRE(b.try_send(1));
    CHECK(a.try_send(2).error() == errc::full); // even before the winner has run
    co_await wg.wait();
    CHECK(a.try_send(2).error() == errc::full);
}

TEST_TASK("the value of a losing send arm is as it was, ready or parked") {
    channel<box> in(1), out;
    box v = std::make_unique<int>(5);
    REQUIRE(in.try_send(std::make_unique<int>(1)));
    auto at_once = co_await select(out.send(std::move(v)), in.recv());
    CHECK(at_once.index() == 1);
    REQUIRE(v);
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select(out.send(std::move(v)), in.recv());
        REQUIRE(s.index() == 1);
        CHECK(*get<1>(s).value() == 2);
    });
    co_await until_all_parked();
    REQUIRE(in.try_send(std::make_unique<int>(2)));
    co_await wg.wait();
    REQUIRE(v);
    CHECK(*v == 5);
    CHECK(out.try_recv().error() == errc::empty);
}

TEST_TASK("the value of a winning send arm is moved, of the losing one not") {
    channel<box> a, b;
    box x = std::make_unique<int>(1), y = std::make_unique<int>(2);
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select(a.send(std::move(x)), b.send(std::move(y)));
        REQUIRE(s.index() == 1);
        CHECK(get<1>(s));
    });
    co_await until_all_parked();
    auto got = co_await b.recv();
    CHECK(**got == 2);
    co_await wg.wait();
    CHECK(x);
    CHECK_FALSE(y);
}

TEST_TASK("one channel may stand in several receiving arms") {
    channel<int> ch;
    wait_group wg;
    wg.go([&]() -> task<> {
        for (int i = 0; i < 20; ++i) {
            auto s = co_await select(ch.recv(), ch.recv(), ch.recv());
            const int v = s.index() == 0   ? get<0>(s).value()
                          : s.index() == 1 ? get<1>(s).value()
                                           : get<2>(s).value();
            CHECK(v == i);
        }
    });
    for (int i = 0; i < 20; ++i) {
        auto r = co_await ch.send(i);
        CHECK(r);
    }
    co_await wg.wait();
    CHECK(ch.try_send(1).error() == errc::full);
}

TEST_TASK("one channel may stand in several sending arms, and sends one of the values") {
    channel<int> ch;
    wait_group wg;
    wg.go([&]() -> task<> {
        for (int i = 0; i < 20; ++i) {
            auto s = co_await select(ch.send(10 + i), ch.send(100 + i));
            CHECK((s.index() == 0 ? get<0>(s) : get<1>(s)));
        }
    });
    for (int i = 0; i < 20; ++i) {
        auto r = co_await ch.recv();
        CHECK((*r == 10 + i || *r == 100 + i));
    }
    co_await wg.wait();
    CHECK(ch.try_recv().error() == errc::empty);
}

TEST_TASK("a select never pairs with itself on a rendezvous channel") {
    channel<int> ch;
    auto s = co_await select(ch.send(1), ch.recv(), after(1ms));
    CHECK(s.index() == 2);
    auto t = co_await select(ch.recv(), ch.send(1), ch.recv(), ch.send(2), otherwise);
    CHECK(t.index() == 4);
    CHECK(ch.try_recv().error() == errc::empty);
    CHECK(ch.try_send(1).error() == errc::full);
}

TEST_TASK("a parked select that both sends and receives on a channel serves either side") {
    for (bool send_to_it : {true, false}) {
        channel<int> ch;
        wait_group wg;
        wg.go([&]() -> task<> {
            auto s = co_await select(ch.send(1), ch.recv());
            if (send_to_it) CHECK(get<1>(s).value() == 2);
            else CHECK(get<0>(s));
        });
        co_await until_all_parked();
        if (send_to_it) CHECK(ch.try_send(2));
        else CHECK(ch.try_recv().value() == 1);
        co_await wg.wait();
    }
}

TEST_TASK("two selects pair with each other, once") {
    channel<int> a, b;
    int received = 0, sent = 0;
    wait_group wg;
    for (int who = 1; who <= 2; ++who) {
        wg.go([&, who]() -> task<> {
            auto s = co_await select(a.send(who), a.recv(), b.send(who), b.recv());
            if (s.index() == 1) CHECK(get<1>(s).value() == 3 - who);
            if (s.index() == 3) CHECK(get<3>(s).value() == 3 - who);
            ++(s.index() % 2 == 1 ? received : sent);
        });
    }
    co_await wg.wait();
    CHECK(received == 1);
    CHECK(sent == 1);
    CHECK(a.try_recv().error() == errc::empty);
    CHECK(b.try_recv().error() == errc::empty);
}

TEST_TASK("a hundred selects on both sides pair off without loss") {
    channel<int> a, b(2);
    int balance = 0, ended = 0;
    wait_group wg;
    for (int i = 0; i < 50; ++i) {
        wg.go([&, i]() -> task<> {
            auto s = co_await select(a.send(i), b.send(i));
            CHECK((s.index() == 0 ? get<0>(s) : get<1>(s)));
            balance += i;
            ++ended;
        });
        wg.go([&]() -> task<> {
            auto s = co_await select(b.recv(), a.recv());
            balance -= s.index() == 0 ? get<0>(s).value() : get<1>(s).value();
            ++ended;
        });
    }
    co_await wg.wait();
    CHECK(ended == 100);
    CHECK(balance == 0);
}

TEST_TASK("a closed channel is ready, to receive and to send") {
    channel<int> open, shut;
    shut.close(std::make_error_code(std::errc::io_error));
    auto s = co_await select(open.recv(), shut.recv());
    REQUIRE(s.index() == 1);
    CHECK(get<1>(s).error() == std::errc::io_error);
    auto t = co_await select(open.send(1), shut.send(1));
    REQUIRE(t.index() == 1);
    CHECK(get<1>(t).error() == errc::closed);
    auto u = co_await select(open.recv(), shut.reserve());
    CHECK(u.index() == 1);
}

TEST_TASK("a close while a select is parked wakes it by the closed arm") {
    channel<int> open;
    channel<box> shut;
    box v = std::make_unique<int>(1);
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select(open.recv(), shut.send(std::move(v)));
        REQUIRE(s.index() == 1);
        CHECK(get<1>(s).error() == errc::closed);
    });
    co_await until_all_parked();
    shut.close();
    co_await wg.wait();
    CHECK(v);
    channel<int> in;
    wg.go([&]() -> task<> {
        auto s = co_await select(in.recv(), open.recv());
        REQUIRE(s.index() == 0);
        CHECK(get<0>(s).error() == errc::closed);
    });
    co_await until_all_parked();
    in.close();
    co_await wg.wait();
}

TEST_TASK("a nil channel is never chosen") {
    channel<int> none = nil, some(1);
    REQUIRE(some.try_send(1));
    for (int i = 0; i < 20; ++i) {
        auto s = co_await select(none.recv(), some.send(1), none.send(1), some.recv(), none.reserve());
        CHECK((s.index() == 1 || s.index() == 3));
    }
    auto t = co_await select(none.recv(), none.send(2), after(1ms));
    CHECK(t.index() == 2);
    auto u = co_await select(none.recv(), none.send(2), otherwise);
    CHECK(u.index() == 2);
}

TEST_TASK("otherwise is taken only when no arm is ready, wherever it stands") {
    channel<int> ch(1);
    auto s = co_await select(otherwise, ch.recv());
    CHECK(s.index() == 0);
    static_assert(std::is_same_v<std::remove_reference_t<decltype(get<0>(s))>, std::monostate>);
    auto t = co_await select(ch.recv(), otherwise, ch.recv());
    CHECK(t.index() == 1);
    REQUIRE(ch.try_send(7));
    auto u = co_await select(otherwise, ch.recv());
    REQUIRE(u.index() == 1);
    CHECK(get<1>(u).value() == 7);
    auto v = co_await select(otherwise);
    CHECK(v.index() == 0);
}

TEST_TASK("a select with otherwise does not take part in a rendezvous with one that has gone") {
    channel<int> ch;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select(ch.recv(), after(1ms));
        CHECK(s.index() == 1);
    });
    co_await wg.wait();
    auto s = co_await select(ch.send(1), otherwise);
    CHECK(s.index() == 1);
}

TEST_TASK("in order, the first ready arm is taken every time") {
    channel<int> a(1), b(1), c(1);
    REQUIRE(b.try_send(1));
    REQUIRE(c.try_send(1));
    for (int i = 0; i < 100; ++i) {
        auto s = co_await select_in_order(a.recv(), b.recv(), c.recv(), otherwise);
        REQUIRE(s.index() == 1);
        REQUIRE(b.try_send(1));
    }
    CHECK(c.size() == 1);
}

TEST_TASK("a single arm does what the operation does on its own") {
    channel<int> ch(1);
    auto s = co_await select(ch.send(1));
    CHECK(get<0>(s));
    auto r = co_await select(ch.recv());
    CHECK(get<0>(r).value() == 1);
    auto t = co_await select(after(1ms));
    CHECK(t.index() == 0);
}

TEST_TASK("a cancel while a select is parked on many arms unlinks them all") {
    channel<int> a, b, c(1), d = nil;
    REQUIRE(c.try_send(1));
    auto other = spawn([]() -> task<> { (void)co_await sleep_for(1h); });
    wait_group wg;
    wg.add();
    auto h = spawn([&]() -> task<> {
        (void)co_await select(a.recv(), b.send(1), b.recv(), c.send(2), c.reserve(), d.recv(), after(1h),
                              other.join(), wg.wait());
        FAIL_CHECK("a cancelled task came back");
    });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    CHECK(a.try_send(1).error() == errc::full);
    CHECK(b.try_recv().error() == errc::empty);
    CHECK(b.try_send(1).error() == errc::full);
    CHECK(c.try_recv().value() == 1);
    CHECK(c.try_recv().error() == errc::empty);
    wg.done();
    other.cancel();
    auto o = co_await other.join();
    CHECK(o.error() == errc::cancelled);
}

TEST_TASK("a select that committed returns although a cancel came before it was resumed") {
    channel<int> a, b;
    int got = 0;
    auto h = spawn([&]() -> task<> {
        auto s = co_await select(a.recv(), b.recv());
        got = get<1>(s).value();
    });
    co_await until_all_parked();
    REQUIRE(b.try_send(3));
    h.cancel();
    auto r = co_await h.join();
    CHECK(r);
    CHECK(got == 3);
}
