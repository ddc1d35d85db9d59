#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

constexpr auto all = std::numeric_limits<std::size_t>::max();

task<> send_one(channel<int> ch, int v) {
    auto r = co_await ch.send(v);
    CHECK(r);
}

} // namespace

TEST_TASK("recv_many takes what is buffered, oldest first, and not more than it was asked for") {
    for (auto ch : {channel<int>(10), channel<int>::unbounded()}) {
        for (int i = 0; i < 7; ++i) REQUIRE(ch.try_send(i));
        std::vector<int> out{-1};
        auto n = co_await ch.recv_many(out, 3);
        CHECK(n.value() == 3);
        CHECK(out == std::vector<int>{-1, 0, 1, 2});
        auto m = co_await ch.recv_many(out, 100);
        CHECK(m.value() == 4);
        CHECK(out == std::vector<int>{-1, 0, 1, 2, 3, 4, 5, 6});
        CHECK(ch.size() == 0);
    }
}

TEST_TASK("recv_many without a limit does not try to reserve all memory there is") {
    channel<int> ch(10);
    for (int i = 0; i < 10; ++i) REQUIRE(ch.try_send(i));
    std::vector<int> out;
    auto n = co_await ch.recv_many(out, all);
    CHECK(n.value() == 10);
    CHECK(out.size() == 10);
}

TEST_TASK("recv_many waits for the first value only") {
    channel<int> ch(10);
    std::vector<int> out;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto n = co_await ch.recv_many(out, 5);
        CHECK(n.value() == 1);
    });
    co_await until_all_parked();
    CHECK(out.empty());
    REQUIRE(ch.try_send(1));
    co_await wg.wait();
    CHECK(out == std::vector<int>{1});
}

TEST_TASK_STAGED("a parked recv_many takes along what came before it was resumed") {
    channel<int> ch(10);
    std::vector<int> out;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto n = co_await ch.recv_many(out, 5);
        CHECK(n.value() == 3);
    });
    co_await until_all_parked();
    for (int i = 0; i < 3; ++i) REQUIRE(ch.try_send(i));
    co_await wg.wait();
    CHECK(out == std::vector<int>{0, 1, 2});
}

TEST_TASK("recv_many takes the values of parked senders too, in their order") {
    for (std::size_t capacity : {0u, 2u}) {
        channel<int> ch(capacity);
        wait_group wg;
        for (int i = 0; i < 6; ++i) {
            wg.go(send_one, ch, i);
            co_await until_all_parked();
        }
        std::vector<int> out;
        out.reserve(16);
        auto n = co_await ch.recv_many(out, 5);
        CHECK(n.value() == 5);
        CHECK(out == std::vector<int>{0, 1, 2, 3, 4});
        auto last = co_await ch.recv();
        CHECK(last.value() == 5);
        co_await wg.wait();
    }
}

TEST_TASK("what recv_many has no room for stays in the channel") {
    channel<int> ch;
    wait_group wg;
    for (int i = 0; i < 20; ++i) {
        wg.go(send_one, ch, i);
        co_await until_all_parked();
    }
    std::vector<int> out;
    while (out.size() < 20) {
        const std::size_t before = out.size();
        auto n = co_await ch.recv_many(out, all);
        REQUIRE(n);
        CHECK(*n >= 1);
        CHECK(out.size() == before + *n);
    }
    for (int i = 0; i < 20; ++i) CHECK(out[static_cast<std::size_t>(i)] == i);
    co_await wg.wait();
}

TEST_TASK("recv_many drains a closed channel and then gives its reason") {
    channel<int> ch(4);
    for (int i = 0; i < 3; ++i) REQUIRE(ch.try_send(i));
    ch.close(std::make_error_code(std::errc::io_error));
    std::vector<int> out;
    auto n = co_await ch.recv_many(out, 10);
    CHECK(n.value() == 3);
    auto m = co_await ch.recv_many(out, 10);
    CHECK(m.error() == std::errc::io_error);
    CHECK(out.size() == 3);
}

TEST_TASK("a parked recv_many ends with the reason of the close, and appends nothing") {
    channel<int> ch(4);
    std::vector<int> out;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto n = co_await ch.recv_many(out, 10);
        CHECK(n.error() == errc::closed);
    });
    co_await until_all_parked();
    ch.close();
    co_await wg.wait();
    CHECK(out.empty());
}

TEST_TASK("recv_many of none gives none and takes none") {
    channel<int> ch(1);
    REQUIRE(ch.try_send(1));
    std::vector<int> out;
    auto n = co_await ch.recv_many(out, 0);
    CHECK(n.value() == 0);
    CHECK(out.empty());
    CHECK(ch.size() == 1);
}

TEST_TASK("a cancelled recv_many loses nothing") {
    channel<int> ch(4);
    std::vector<int> out;
    auto h = spawn([&]() -> task<> { (void)co_await ch.recv_many(out, 4); });
    co_await until_all_parked();
    h.cancel();
    for (int i = 0; i < 3; ++i) REQUIRE(ch.try_send(i));
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    CHECK(out.empty());
    CHECK(ch.size() == 3);
}

TEST_TASK("recv_many makes room for parked senders, who go on") {
    channel<int> ch(2);
    wait_group wg;
    for (int i = 0; i < 5; ++i) {
        wg.go(send_one, ch, i);
        co_await until_all_parked();
    }
    std::vector<int> out;
    out.reserve(2);
    auto n = co_await ch.recv_many(out, 2);
    CHECK(n.value() == 2);
    CHECK(ch.size() == 2);
    auto m = co_await ch.recv_many(out, 3);
    CHECK(m.value() == 3);
    co_await wg.wait();
    CHECK(out == std::vector<int>{0, 1, 2, 3, 4});
}

TEST_TASK("recv_many moves values that cannot be copied") {
    channel<std::unique_ptr<int>> ch(3);
    for (int i = 0; i < 3; ++i) REQUIRE(ch.try_send(std::make_unique<int>(i)));
    std::vector<std::unique_ptr<int>> out;
    auto n = co_await ch.recv_many(out, 3);
    REQUIRE(n.value() == 3);
    for (int i = 0; i < 3; ++i) CHECK(*out[static_cast<std::size_t>(i)] == i);
}

TEST_TASK("recv_many as an arm takes as much as on its own, and nothing when it loses") {
    channel<int> ch(8), other(1);
    std::vector<int> out;
    REQUIRE(other.try_send(1));
    for (int i = 0; i < 5; ++i) REQUIRE(ch.try_send(i));
    auto lost = co_await select_in_order(other.recv(), ch.recv_many(out, 8));
    CHECK(lost.index() == 0);
    CHECK(out.empty());
    auto won = co_await select_in_order(ch.recv_many(out, 8), other.recv());
    REQUIRE(won.index() == 0);
    CHECK(get<0>(won).value() == 5);
    CHECK(out == std::vector<int>{0, 1, 2, 3, 4});
}
