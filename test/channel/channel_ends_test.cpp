#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/channel/ends.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

using box = std::unique_ptr<int>;

} // namespace

TEST_TASK("the last sending end that goes closes the channel") {
    auto [tx, rx] = make_ends<int>(4);
    {
        auto second = tx;
        REQUIRE(second.try_send(1));
    }
    CHECK_FALSE(rx.closed());
    REQUIRE(tx.try_send(2));
    tx.reset();
    CHECK(rx.closed());
    auto a = co_await rx.recv();
    CHECK(a.value() == 1);
    auto b = co_await rx.recv();
    CHECK(b.value() == 2);
    auto c = co_await rx.recv();
    CHECK(c.error() == errc::closed);
}

TEST_TASK("a receiver ranges until the last of many producers has ended") {
    auto [tx, rx] = make_ends<int>();
    wait_group wg;
    for (int p = 0; p < 4; ++p) {
        wg.go(
            [](send_end<int> out) -> task<> {
                for (int i = 0; i < 5; ++i) {
                    auto r = co_await out.send(i);
                    CHECK(r);
                }
            },
            tx);
    }
    tx.reset();
    int n = 0;
    while (auto v = co_await rx.recv()) ++n;
    CHECK(n == 20);
    co_await wg.wait();
}

TEST_TASK("the last receiving end that goes ends sends, those that wait and those to come") {
    auto [tx, rx] = make_ends<box>();
    auto second = rx;
    box v = std::make_unique<int>(1);
    wait_group wg;
    wg.go(
        [&v](send_end<box> out) -> task<> {
            auto r = co_await out.send(std::move(v));
            CHECK(r.error() == errc::closed);
        },
        tx);
    co_await until_all_parked();
    rx.reset();
    co_await until_all_parked();
    CHECK(v);
    CHECK_FALSE(tx.closed());
    second.reset();
    co_await wg.wait();
    CHECK(v);
    CHECK(tx.closed());
    auto r = co_await tx.send(std::move(v));
    CHECK(r.error() == errc::closed);
    CHECK(v);
}

TEST_TASK("a cancelled task gives up the end that it was started with") {
    auto [tx, rx] = make_ends<int>();
    auto h = spawn([](send_end<int> out) -> task<> { (void)co_await out.send(1); }, std::move(tx));
    CHECK(tx == nil);
    co_await until_all_parked();
    h.cancel();
    auto r = co_await rx.recv();
    CHECK(r.error() == errc::closed);
    auto j = co_await h.join();
    CHECK(j.error() == errc::cancelled);
}

TEST_CASE("a moved end counts once, wherever it goes") {
    auto [tx, rx] = make_ends<int>(1);
    std::optional<send_end<int>> a(std::move(tx));
    CHECK(tx == nil);
    tx.reset(); // nothing left to give up
    CHECK_FALSE(rx.closed());
    std::vector<send_end<int>> many;
    many.push_back(std::move(*a));
    a.reset();
    CHECK_FALSE(rx.closed());
    for (int i = 0; i < 20; ++i) many.push_back(many.front());
    many.erase(many.begin(), many.end() - 1);
    CHECK_FALSE(rx.closed());
    many.clear();
    CHECK(rx.closed());
}

TEST_CASE("assigning an end gives up the one that was held") {
    auto [a_tx, a_rx] = make_ends<int>(1);
    auto [b_tx, b_rx] = make_ends<int>(1);
    a_tx = b_tx;
    CHECK(a_rx.closed());
    CHECK_FALSE(b_rx.closed());
    b_tx.reset();
    CHECK_FALSE(b_rx.closed());
    a_tx = send_end<int>(std::move(a_tx));
    CHECK_FALSE(b_rx.closed());
    a_rx = std::move(b_rx);
    CHECK_FALSE(a_rx.closed());
    CHECK(b_rx == nil);
    a_tx.reset();
    CHECK(a_rx.closed());
}

TEST_CASE("an end assigned to itself stays, copied or moved") {
    auto [tx, rx] = make_ends<int>(1);
    auto& same_tx = tx;
    auto& same_rx = rx;
    tx = same_tx;
    CHECK_FALSE(rx.closed());
    tx = std::move(same_tx);
    rx = same_rx;
    rx = std::move(same_rx);
    CHECK_FALSE(rx.closed());
    REQUIRE(tx.try_send(5));
    CHECK(rx.try_recv().value() == 5);
    tx.reset();
    CHECK(rx.closed());
}

TEST_CASE("an end that was reset is nil, and reset again does nothing") {
    auto [tx, rx] = make_ends<int>(1);
    auto keeper = tx;
    tx.reset();
    tx.reset();
    CHECK(tx == nil);
    CHECK(tx.try_send(1).error() == errc::full);
    CHECK_FALSE(rx.closed());
    keeper.reset();
    CHECK(rx.closed());
    rx.reset();
    CHECK(rx == nil);
    CHECK_FALSE(rx.closed());
}

TEST_CASE("swapping two ends closes neither channel") {
    auto [a_tx, a_rx] = make_ends<int>(1);
    auto [b_tx, b_rx] = make_ends<int>(1);
    std::swap(a_tx, b_tx);
    CHECK_FALSE(a_rx.closed());
    CHECK_FALSE(b_rx.closed());
    REQUIRE(a_tx.try_send(1));
    CHECK(b_rx.try_recv().value() == 1);
    a_tx.reset();
    CHECK(b_rx.closed());
    CHECK_FALSE(a_rx.closed());
}

TEST_CASE("a view of an end does not count: it neither keeps the channel open nor closes it") {
    auto [tx, rx] = make_ends<int>(2);
    send_channel<int> tx_view = tx;
    {
        send_channel<int> shortlived = tx_view;
        recv_channel<int> other = rx;
        CHECK(shortlived == tx_view);
    }
    CHECK_FALSE(rx.closed());
    recv_channel<int> rx_view = rx;
    REQUIRE(tx_view.try_send(1));
    tx.reset();
    CHECK(rx_view.closed());
    CHECK(tx_view.try_send(2).error() == errc::closed);
    CHECK(rx_view.try_recv().value() == 1);
}

TEST_CASE("a view that outlives the last receiving end finds the channel closed") {
    auto [tx, rx] = make_ends<int>(2);
    recv_channel<int> view = rx;
    REQUIRE(tx.try_send(1));
    rx.reset();
    CHECK(view.closed());
    CHECK(view.try_recv().value() == 1); // what was buffered is still there
    CHECK(tx.try_send(2).error() == errc::closed);
}

TEST_CASE("an explicit close wins over the end of the last sender, and its reason stays") {
    auto [tx, rx] = make_ends<int>(2);
    CHECK(tx.close(std::make_error_code(std::errc::io_error)));
    tx.reset();
    CHECK(rx.reason() == std::errc::io_error);
    CHECK(rx.try_recv().error() == std::errc::io_error);
}

TEST_CASE("ends without a limit take any number of values") {
    auto [tx, rx] = make_unbounded_ends<int>();
    for (int i = 0; i < 1000; ++i) REQUIRE(tx.try_send(i));
    tx.reset();
    for (int i = 0; i < 1000; ++i) REQUIRE(rx.try_recv().value() == i);
    CHECK(rx.try_recv().error() == errc::closed);
}

TEST_CASE("ends of void signal that somebody has gone") {
    auto [tx, rx] = make_ends<void>(1);
    REQUIRE(tx.try_send());
    tx.reset();
    CHECK(rx.try_recv());
    CHECK(rx.try_recv().error() == errc::closed);
}

TEST_TASK("a plain view made from an end that is moved is a handle more, and the end counts itself out") {
    auto [tx, rx] = make_ends<int>(4);
    auto keep = tx;
    {
        auto h = spawn([](send_channel<int> out) -> task<> { static_cast<void>(co_await out.send(1)); },
                       std::move(tx));
        auto r = co_await h.join();
        CHECK(r.has_value());
    }
    {
        auto moved = keep;
        send_channel<int> view = std::move(moved);
        view = std::move(moved);
        CHECK(moved.same(view));
    }
    {
        auto moved = rx;
        recv_channel<int> view = std::move(moved);
        view = std::move(moved);
    }
    auto v = co_await rx.recv();
    CHECK(test_support::holds(v, 1));
    keep.reset(); // the last that counts
    auto end = co_await rx.recv();
    CHECK(end.error() == errc::closed);
}
