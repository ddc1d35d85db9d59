#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

using box = std::unique_ptr<int>;

} // namespace

TEST_TASK("a permit keeps its place although others want it, and sends without waiting") {
    channel<int> ch(1);
    auto p = co_await ch.reserve();
    REQUIRE(p);
    CHECK(ch.size() == 0);
    CHECK(ch.try_send(1).error() == errc::full);
    CHECK(p->send(2));
    CHECK(ch.size() == 1);
    auto r = co_await ch.recv();
    CHECK(r.value() == 2);
    CHECK(ch.try_send(3));
}

TEST_TASK("room counts what is buffered and what is reserved") {
    channel<int> ch(3);
    REQUIRE(ch.try_send(0));
    auto a = co_await ch.reserve();
    auto b = co_await ch.reserve();
    REQUIRE(a);
    REQUIRE(b);
    CHECK(ch.try_send(1).error() == errc::full);
    auto c = co_await with_timeout(1ms, ch.reserve());
    CHECK(c.error() == errc::timed_out);
    CHECK(ch.try_recv().value() == 0);
    auto d = co_await ch.reserve();
    CHECK(d);
    CHECK(ch.try_send(1).error() == errc::full);
}

TEST_TASK("a dropped permit frees its place for who waits longest") {
    channel<int> ch(1);
    wait_group wg;
    {
        auto p = co_await ch.reserve();
        REQUIRE(p);
        wg.go([&]() -> task<> {
            auto r = co_await ch.send(5);
            CHECK(r);
        });
        co_await until_all_parked();
        CHECK(ch.size() == 0);
    }
    CHECK(ch.size() == 1);
    co_await wg.wait();
    CHECK(ch.try_recv().value() == 5);
}

TEST_TASK("permits taken and dropped a thousand times leave the room as it was") {
    channel<int> ch(2);
    for (int i = 0; i < 1000; ++i) {
        auto p = co_await ch.reserve();
        REQUIRE(p);
        auto q = std::move(p).value();
        auto moved = std::move(q);
        auto second = co_await ch.reserve();
        REQUIRE(second);
        moved = std::move(second).value(); // frees the first
    }
    CHECK(ch.try_send(1));
    CHECK(ch.try_send(2));
    CHECK(ch.try_send(3).error() == errc::full);
}

TEST_TASK("a permit's value goes straight to a parked receiver") {
    channel<int> ch(1);
    auto p = co_await ch.reserve();
    REQUIRE(p);
    int got = 0;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.recv();
        got = r.value();
    });
    co_await until_all_parked();
    CHECK(p->send(8));
    CHECK(ch.size() == 0);
    CHECK(ch.try_send(9)); // the place is free again
    co_await wg.wait();
    CHECK(got == 8);
}

TEST_TASK("a permit that was used for a parked receiver frees its place for a parked sender") {
    channel<int> ch(1);
    auto p = co_await ch.reserve();
    REQUIRE(p);
    std::vector<int> got;
    wait_group wg;
    wg.go([&]() -> task<> {
        for (int i = 0; i < 2; ++i) {
            auto r = co_await ch.recv();
            got.push_back(r.value());
        }
    });
    co_await until_all_parked();
    wg.go([&]() -> task<> {
        auto second = co_await ch.reserve();
        REQUIRE(second);
        CHECK(second->send(2));
    });
    co_await until_all_parked();
    CHECK(p->send(1));
    co_await wg.wait();
    CHECK(got == std::vector<int>{1, 2});
}

TEST_TASK("a parked sender meets a receiver even while every place is reserved") {
    channel<int> ch(1);
    auto p = co_await ch.reserve();
    REQUIRE(p);
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.send(1);
        CHECK(r);
    });
    co_await until_all_parked();
    auto r = co_await ch.recv();
    CHECK(r.value() == 1);
    co_await wg.wait();
    CHECK(p->send(2));
    CHECK(ch.try_recv().value() == 2);
}

TEST_TASK("a reservation on a rendezvous channel is not supported, for there is no room") {
    channel<int> ch;
    auto p = co_await ch.reserve();
    CHECK(p.error() == std::errc::operation_not_supported);
    auto s = co_await select(ch.reserve(), after(1h));
    REQUIRE(s.index() == 0);
    CHECK(get<0>(s).error() == std::errc::operation_not_supported);
}

TEST_TASK("an unbounded channel always has a place to reserve") {
    auto ch = channel<int>::unbounded();
    std::vector<permit<int>> many;
    for (int i = 0; i < 100; ++i) {
        auto p = co_await ch.reserve();
        many.push_back(std::move(p).value());
    }
    for (int i = 99; i >= 0; --i) {
        CHECK(many.back().send(std::move(i)));
        many.pop_back();
    }
    CHECK(ch.size() == 100);
    CHECK(ch.try_recv().value() == 99);
}

TEST_TASK("a reservation on a closed channel ends with closed") {
    channel<int> ch(1);
    ch.close(std::make_error_code(std::errc::io_error));
    auto p = co_await ch.reserve();
    CHECK(p.error() == errc::closed);
}

TEST_TASK("a permit kept over a close sends nothing and leaves the value alone") {
    channel<box> ch(2);
    REQUIRE(ch.try_send(std::make_unique<int>(1)));
    auto p = co_await ch.reserve();
    REQUIRE(p);
    ch.close();
    box v = std::make_unique<int>(2);
    auto r = p->send(std::move(v));
    CHECK(r.error() == errc::closed);
    REQUIRE(v);
    auto first = co_await ch.recv();
    CHECK(**first == 1);
    auto none = co_await ch.recv();
    CHECK(none.error() == errc::closed);
}

TEST_TASK("a permit may outlive every handle of its channel") {
    std::optional<permit<int>> p;
    {
        channel<int> ch(1);
        auto r = co_await ch.reserve();
        p.emplace(std::move(r).value());
    }
    CHECK(p->send(1));
}

TEST_TASK("senders and reservations are served in the order in which they came") {
    channel<int> ch(1);
    REQUIRE(ch.try_send(0));
    std::string order;
    wait_group wg;
    for (char name : {'a', 'B', 'c', 'D', 'E', 'f'}) {
        wg.go([&, name]() -> task<> {
            const int value = name;
            if (name >= 'a') {
                auto r = co_await ch.send(value);
                CHECK(r);
            } else {
                auto p = co_await ch.reserve();
                REQUIRE(p);
                CHECK(p->send(value));
            }
        });
        co_await until_all_parked();
    }
    for (int i = 0; i < 7; ++i) {
        auto r = co_await ch.recv();
        if (*r != 0) order += static_cast<char>(*r);
        co_await until_all_parked();
    }
    co_await wg.wait();
    CHECK(order == "aBcDEf");
}

TEST_TASK("a losing reservation of a select takes no place") {
    channel<int> full(1), other(1);
    REQUIRE(full.try_send(1));
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select(full.reserve(), other.recv());
        CHECK(s.index() == 1);
    });
    co_await until_all_parked();
    REQUIRE(other.try_send(2));
    REQUIRE(full.try_recv()); // before the select's task has run: its place must not stay reserved
    co_await wg.wait();
    CHECK(full.try_send(3));
}

TEST_TASK("a reservation that won a select frees its place when the outcome is dropped") {
    channel<int> ch(1);
    channel<int> never;
    for (int i = 0; i < 3; ++i) {
        auto s = co_await select(ch.reserve(), never.recv());
        CHECK(s.index() == 0);
    }
    REQUIRE(ch.try_send(1));
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select(ch.reserve(), never.recv());
        CHECK(s.index() == 0);
    });
    co_await until_all_parked();
    REQUIRE(ch.try_recv());
    co_await wg.wait();
    CHECK(ch.try_send(2));
}

TEST_TASK("a cancelled reservation takes no place, whether it waited or was being granted") {
    for (bool granted : {false, true}) {
        channel<int> ch(1);
        REQUIRE(ch.try_send(1));
        auto h = spawn([&]() -> task<> {
            auto p = co_await ch.reserve();
            CHECK(granted);
        });
        co_await until_all_parked();
        if (granted) REQUIRE(ch.try_recv());
        h.cancel();
        auto r = co_await h.join();
        CHECK(r.has_value() == granted);
        if (!granted) REQUIRE(ch.try_recv());
        CHECK(ch.try_send(2));
    }
}

TEST_TASK("a permit of void signals once") {
    channel<void> ch(1);
    auto p = co_await ch.reserve();
    REQUIRE(p);
    CHECK(ch.try_send().error() == errc::full);
    CHECK(p->send());
    CHECK(ch.try_recv());
    CHECK(ch.try_recv().error() == errc::empty);
}

TEST_CASE("a permit used twice terminates") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        channel<int> ch(2);
        auto p = co_await ch.reserve();
        (void)p->send(1);
        (void)p->send(2);
    });
    CHECK(d.aborted);
    CHECK(d.says("permit was used twice"));
}
