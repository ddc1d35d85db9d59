#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

/// Move-only, and cannot be made from nothing.
class ticket {
public:
    explicit ticket(int n) noexcept : number_(n) { ++alive; }
    ticket(ticket&& other) noexcept : number_(std::exchange(other.number_, -1)) { ++alive; }
    ticket& operator=(ticket&& other) noexcept {
        number_ = std::exchange(other.number_, -1);
        return *this;
    }
    ~ticket() { --alive; }
    int number() const { return number_; }
    static inline thread_local int alive = 0;

private:
    int number_;
};

struct pair_of {
    std::string a;
    int b;
};

} // namespace

TEST_TASK("a rendezvous send does not return before a receiver has taken its value") {
    channel<int> ch;
    bool sent = false;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.send(42);
        CHECK(r);
        sent = true;
    });
    co_await until_all_parked();
    CHECK_FALSE(sent);
    CHECK(ch.size() == 0);
    auto r = co_await ch.recv();
    REQUIRE(r);
    CHECK(*r == 42);
    co_await wg.wait();
    CHECK(sent);
}

TEST_TASK("a rendezvous receiver that came first gets the value of a later send") {
    channel<std::string> ch;
    std::string got;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.recv();
        got = r.value();
    });
    co_await until_all_parked();
    auto r = co_await ch.emplace("hello");
    CHECK(r);
    co_await wg.wait();
    CHECK(got == "hello");
}

TEST_TASK("a bounded channel takes as many values as its capacity, then senders wait") {
    for (std::size_t capacity : {1u, 2u, 5u}) {
        channel<std::size_t> ch(capacity);
        std::size_t sent = 0;
        wait_group wg;
        wg.go([&]() -> task<> {
            for (std::size_t i = 0; i < capacity + 3; ++i) {
                auto r = co_await ch.send(i);
                CHECK(r);
                ++sent;
            }
        });
        co_await until_all_parked();
        CHECK(sent == capacity);
        CHECK(ch.size() == capacity);
        for (std::size_t i = 0; i < capacity + 3; ++i) {
            auto r = co_await ch.recv();
            REQUIRE(r);
            CHECK(*r == i);
        }
        co_await wg.wait();
        CHECK(ch.size() == 0);
    }
}

TEST_TASK("a send to an unbounded channel never waits") {
    auto ch = channel<int>::unbounded();
    for (int i = 0; i < 5000; ++i) {
        auto r = co_await ch.send(i);
        REQUIRE(r);
    }
    CHECK(ch.size() == 5000);
    for (int i = 0; i < 5000; ++i) {
        auto r = co_await ch.recv();
        REQUIRE(r.value() == i);
    }
}

TEST_TASK("a nil channel blocks for ever, and says no to every question") {
    channel<int> none = nil;
    auto r = co_await with_timeout(1ms, none.recv());
    CHECK(r.error() == errc::timed_out);
    auto s = co_await with_timeout(1ms, none.send(1));
    CHECK(s.error() == errc::timed_out);
    auto p = co_await with_timeout(1ms, none.reserve());
    CHECK(p.error() == errc::timed_out);
    std::vector<int> out;
    auto m = co_await with_timeout(1ms, none.recv_many(out, 3));
    CHECK(m.error() == errc::timed_out);
    CHECK(none.try_recv().error() == errc::empty);
    CHECK(none.try_send(1).error() == errc::full);
    CHECK_FALSE(none.close());
    CHECK_FALSE(none.closed());
    CHECK(none.size() == 0);
    CHECK(none.capacity() == 0);
    CHECK_FALSE(none.reason());
    CHECK(none == nil);
}

TEST_TASK("a task parked on a nil channel can be cancelled") {
    recv_channel<int> none = nil;
    auto h = spawn([&]() -> task<> { (void)co_await none.recv(); });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
}

TEST_TASK("a channel of void signals by the same rules as a channel of values") {
    channel<void> ch(2);
    auto a = co_await ch.send();
    CHECK(a);
    CHECK(ch.try_send());
    CHECK(ch.try_send().error() == errc::full);
    CHECK(ch.size() == 2);
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.send();
        CHECK(r);
    });
    co_await until_all_parked();
    for (int i = 0; i < 3; ++i) {
        result<void> r = co_await ch.recv();
        CHECK(r);
    }
    co_await wg.wait();
    CHECK(ch.try_recv().error() == errc::empty);
    ch.close();
    auto r = co_await ch.recv();
    CHECK(r.error() == errc::closed);
    auto s = co_await ch.send();
    CHECK(s.error() == errc::closed);
}

TEST_TASK("a rendezvous of void meets its receiver") {
    channel<void> ch;
    int met = 0;
    wait_group wg;
    wg.go([&]() -> task<> {
        while (auto r = co_await ch.recv()) ++met;
    });
    for (int i = 0; i < 3; ++i) {
        auto r = co_await ch.send();
        CHECK(r);
    }
    ch.close();
    co_await wg.wait();
    CHECK(met == 3);
}

TEST_TASK("move-only values without a default constructor pass through every kind of channel") {
    for (auto ch : {channel<ticket>(), channel<ticket>(3), channel<ticket>::unbounded()}) {
        wait_group wg;
        wg.go([&]() -> task<> {
            for (int i = 1; i <= 10; ++i) {
                ticket t(i);
                auto r = co_await ch.send(std::move(t));
                CHECK(r);
                CHECK(t.number() == -1);
            }
            ch.close();
        });
        int next = 1;
        while (auto t = co_await ch.recv()) CHECK(t->number() == next++);
        CHECK(next == 11);
        co_await wg.wait();
    }
    CHECK(ticket::alive == 0);
}

TEST_TASK("emplace builds the value in place, aggregates too") {
    channel<pair_of> ch(1);
    auto s = co_await ch.emplace("text", 7);
    CHECK(s);
    auto r = co_await ch.recv();
    REQUIRE(r);
    CHECK(r->a == "text");
    CHECK(r->b == 7);
}

TEST_TASK("send of an lvalue copies it and leaves it alone") {
    channel<std::string> ch(1);
    const std::string text = "a text that is too long for the small buffer";
    std::string other = text;
    auto s = co_await ch.send(other);
    CHECK(s);
    CHECK(other == text);
    auto r = co_await ch.recv();
    CHECK(r.value() == text);
}

TEST_TASK("receivers that wait are served first come, first served") {
    channel<int> ch;
    std::vector<int> got(5);
    wait_group wg;
    for (std::size_t i = 0; i < 5; ++i) {
        wg.go([&, i]() -> task<> {
            auto r = co_await ch.recv();
            got[i] = r.value();
        });
        co_await until_all_parked();
    }
    for (int i = 0; i < 5; ++i) REQUIRE(ch.try_send(10 + i));
    co_await wg.wait();
    CHECK(got == std::vector<int>{10, 11, 12, 13, 14});
}

TEST_TASK("senders that wait are served first come, first served, behind what is buffered") {
    for (std::size_t capacity : {0u, 2u}) {
        channel<int> ch(capacity);
        wait_group wg;
        const int n = 5 + static_cast<int>(capacity);
        for (int i = 0; i < n; ++i) {
            wg.go([&, i]() -> task<> {
                auto r = co_await ch.send(i);
                CHECK(r);
            });
            co_await until_all_parked();
        }
        for (int i = 0; i < n; ++i) {
            auto r = co_await ch.recv();
            CHECK(r.value() == i);
        }
        co_await wg.wait();
    }
}

TEST_TASK("a value handed to a parked receiver cannot be stolen before it runs") {
    channel<int> ch(4);
    int got = 0;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.recv();
        got = r.value();
    });
    co_await until_all_parked();
    REQUIRE(ch.try_send(1));
    CHECK(ch.size() == 0);
    CHECK(ch.try_recv().error() == errc::empty);
    co_await wg.wait();
    CHECK(got == 1);
}

TEST_TASK("a new send cannot overtake a parked sender when room is made") {
    channel<int> ch(1);
    REQUIRE(ch.try_send(1));
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.send(2);
        CHECK(r);
    });
    co_await until_all_parked();
    CHECK(ch.try_recv().value() == 1);
    CHECK(ch.try_send(3).error() == errc::full);
    CHECK(ch.try_recv().value() == 2);
    co_await wg.wait();
}

TEST_TASK("a cancelled waiter leaves the queue, and the next in line is served") {
    channel<int> ch;
    int got = 0;
    auto first = spawn([&]() -> task<> { (void)co_await ch.recv(); });
    co_await until_all_parked();
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.recv();
        got = r.value();
    });
    co_await until_all_parked();
    first.cancel();
    REQUIRE(ch.try_send(9)); // even before the cancelled task has run
    auto r = co_await first.join();
    CHECK(r.error() == errc::cancelled);
    co_await wg.wait();
    CHECK(got == 9);
}

TEST_CASE("handles are equal when they name the same channel") {
    channel<int> a(3), b(3);
    channel<int> c = a;
    CHECK(a == c);
    CHECK(a != b);
    send_channel<int> s = a;
    recv_channel<int> r = a;
    CHECK(a == s);
    CHECK(a == r);
    CHECK_FALSE(b == s);
    CHECK_FALSE(b == r);
    CHECK(s == send_channel<int>(c));
    CHECK(r == recv_channel<int>(c));
    CHECK(r != recv_channel<int>(b));
    CHECK(s != nil);
    CHECK(recv_channel<int>(nil) == nil);
    CHECK(channel<int>(nil) == channel<int>(nil));
    CHECK(a != nil);
    c = b;
    CHECK(c == b);
    CHECK(c != a);
}

TEST_CASE("size and capacity tell a rendezvous, a bounded and an unbounded channel apart") {
    CHECK(channel<int>().capacity() == 0);
    CHECK(channel<int>(0).capacity() == 0);
    CHECK(channel<int>(7).capacity() == 7);
    CHECK(channel<int>::unbounded().capacity() == std::numeric_limits<std::size_t>::max());
    channel<int> ch(2);
    send_channel<int> s = ch;
    recv_channel<int> r = ch;
    REQUIRE(ch.try_send(1));
    CHECK(s.size() == 1);
    CHECK(r.size() == 1);
    CHECK(s.capacity() == 2);
    CHECK(r.capacity() == 2);
}

TEST_CASE("a capacity that no memory could hold is an error and not a small channel") {
    constexpr auto most = std::numeric_limits<std::size_t>::max();
    CHECK_THROWS_AS(channel<int>(most / 4), std::bad_alloc);
    CHECK_THROWS_AS(channel<std::string>(most - 1), std::bad_alloc);
}

TEST_CASE("values still buffered are destroyed with the last handle of their channel") {
    ticket::alive = 0;
    for (auto make : {+[] { return channel<ticket>(100); }, +[] { return channel<ticket>::unbounded(); }}) {
        {
            channel<ticket> ch = make();
            for (int i = 0; i < 100; ++i) REQUIRE(ch.try_send(ticket(i)));
            REQUIRE(ch.try_recv());
            recv_channel<ticket> view = ch;
            ch = nil;
            CHECK(ticket::alive == 99);
            REQUIRE(view.try_recv());
            CHECK(ticket::alive == 98);
        }
        CHECK(ticket::alive == 0);
    }
}

TEST_TASK("a channel whose last handle goes while a task waits on it lives on until that task has let go") {
    for (const bool by_cancel : {false, true}) {
        std::optional<channel<std::shared_ptr<int>>> ch(std::in_place);
        auto h = spawn(
            [](std::optional<channel<std::shared_ptr<int>>>& c, duration limit) -> task<bool> {
                auto r = co_await with_timeout(limit, c->recv());
                co_return r.error() == errc::timed_out;
            },
            std::ref(ch), by_cancel ? duration(1h) : duration(1ms));
        co_await test_support::until_parked(h);
        ch.reset();
        if (by_cancel) h.cancel();
        auto timed_out = co_await h.join();
        if (by_cancel) REQUIRE(timed_out.error() == errc::cancelled);
        else REQUIRE(test_support::holds(timed_out, true));
    }
}

TEST_TASK("a select that another channel won lets go of one whose last handle has gone meanwhile") {
    for (const bool pass_over : {false, true}) {
        channel<int> winner;
        std::optional<channel<int>> other(std::in_place);
        auto h = spawn(
            [](channel<int> w, std::optional<channel<int>>& o) -> task<std::size_t> {
                auto s = co_await select(w.recv(), o->recv());
                co_return s.index();
            },
            winner, std::ref(other));
        co_await test_support::until_parked(h);
        REQUIRE(winner.try_send(1));                 // claimed, and not resumed yet
        if (pass_over) REQUIRE(!other->try_send(2)); // finds the claimed arm, and passes it over
        other.reset();
        auto index = co_await h.join();
        REQUIRE(test_support::holds(index, 0u));
    }
}

TEST_TASK("a receiver woken by a close gets the reason though the channel's last handle has gone") {
    std::optional<channel<int>> ch(std::in_place);
    auto h = spawn(
        [](std::optional<channel<int>>& c) -> task<std::error_code> {
            auto r = co_await c->recv();
            co_return r.error();
        },
        std::ref(ch));
    co_await test_support::until_parked(h);
    ch->close(std::make_error_code(std::errc::host_unreachable));
    ch.reset();
    auto why = co_await h.join();
    REQUIRE(test_support::holds(why, std::make_error_code(std::errc::host_unreachable)));
}

TEST_TASK("a place that was handed to a waiting reservation keeps its channel, whose last handle has gone") {
    std::optional<channel<int>> ch(std::in_place, 1);
    REQUIRE(ch->try_send(1));
    auto h = spawn(
        [](std::optional<channel<int>>& c) -> task<bool> {
            auto place = co_await c->reserve();
            co_return place && place->send(2).has_value();
        },
        std::ref(ch));
    co_await test_support::until_parked(h);
    REQUIRE(ch->try_recv());
    ch.reset();
    auto sent = co_await h.join();
    REQUIRE(test_support::holds(sent, true));
}
