#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/channel/ends.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

using box = std::unique_ptr<int>;

} // namespace

TEST_TASK("close wakes every parked receiver and every parked sender") {
    channel<int> in, out(1);
    REQUIRE(out.try_send(0));
    int ended = 0;
    wait_group wg;
    for (int i = 0; i < 5; ++i) {
        wg.go([&]() -> task<> {
            auto r = co_await in.recv();
            CHECK(r.error() == errc::closed);
            ++ended;
        });
        wg.go([&]() -> task<> {
            auto r = co_await out.send(1);
            CHECK(r.error() == errc::closed);
            ++ended;
        });
        wg.go([&]() -> task<> {
            auto r = co_await out.reserve();
            CHECK(r.error() == errc::closed);
            ++ended;
        });
    }
    co_await until_all_parked();
    in.close();
    out.close();
    co_await wg.wait();
    CHECK(ended == 15);
}

TEST_TASK("a parked sender ends with closed and its value untouched, whatever the reason") {
    channel<box> ch;
    box v = std::make_unique<int>(7);
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.send(std::move(v));
        CHECK(r.error() == errc::closed);
    });
    co_await until_all_parked();
    ch.close(std::make_error_code(std::errc::broken_pipe));
    co_await wg.wait();
    REQUIRE(v);
    CHECK(*v == 7);
}

TEST_TASK("a send on a closed channel is an outcome, and leaves the value alone") {
    for (auto ch : {channel<box>(), channel<box>(1), channel<box>::unbounded()}) {
        ch.close();
        box v = std::make_unique<int>(7);
        auto r = co_await ch.send(std::move(v));
        CHECK(r.error() == errc::closed);
        REQUIRE(v);
        CHECK(*v == 7);
    }
}

TEST_TASK("a cancelled send leaves the value alone") {
    channel<box> ch;
    box v = std::make_unique<int>(7);
    auto h = spawn([&]() -> task<> { (void)co_await ch.send(std::move(v)); });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    REQUIRE(v);
    CHECK(*v == 7);
    CHECK(ch.try_recv().error() == errc::empty);
}

TEST_TASK("a send that timed out leaves the value alone") {
    channel<box> ch(1);
    REQUIRE(ch.try_send(box()));
    box v = std::make_unique<int>(7);
    auto r = co_await with_timeout(1ms, ch.send(std::move(v)));
    CHECK(r.error() == errc::timed_out);
    REQUIRE(v);
    CHECK(*v == 7);
}

TEST_TASK("a send that committed returns, although a cancel came before it was resumed") {
    channel<box> ch;
    box v = std::make_unique<int>(7);
    bool returned = false;
    auto h = spawn([&]() -> task<> {
        auto r = co_await ch.send(std::move(v));
        CHECK(r);
        returned = true;
        (void)co_await ch.recv(); // unwinds
        FAIL_CHECK("a cancelled task went past a second operation");
    });
    co_await until_all_parked();
    auto got = ch.try_recv();
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    CHECK(returned);
    REQUIRE(got);
    CHECK(**got == 7);
    CHECK_FALSE(v);
}

TEST_TASK("a value received before a cancel came is not lost") {
    channel<box> ch;
    box got;
    auto h = spawn([&]() -> task<> {
        auto r = co_await ch.recv();
        got = std::move(r).value();
    });
    co_await until_all_parked();
    REQUIRE(ch.try_send(std::make_unique<int>(3)));
    h.cancel();
    auto r = co_await h.join();
    CHECK(r);
    REQUIRE(got);
    CHECK(*got == 3);
}

TEST_TASK("only the first close says that it closed, and its reason stays") {
    channel<int> ch(1);
    CHECK_FALSE(ch.closed());
    CHECK_FALSE(ch.reason());
    CHECK(ch.close(std::make_error_code(std::errc::io_error)));
    CHECK_FALSE(ch.close());
    CHECK_FALSE(ch.close(std::make_error_code(std::errc::broken_pipe)));
    CHECK(ch.closed());
    CHECK(ch.reason() == std::errc::io_error);
    auto r = co_await ch.recv();
    CHECK(r.error() == std::errc::io_error);
    CHECK(ch.try_recv().error() == std::errc::io_error);
    auto s = co_await ch.send(1);
    CHECK(s.error() == errc::closed);
    CHECK(ch.try_send(1).error() == errc::closed);
}

TEST_TASK("receivers drain what is buffered before they are told the reason") {
    for (auto ch : {channel<int>(5), channel<int>::unbounded()}) {
        for (int i = 0; i < 5; ++i) REQUIRE(ch.try_send(i));
        ch.close(std::make_error_code(std::errc::io_error));
        CHECK(ch.size() == 5);
        for (int i = 0; i < 4; ++i) {
            auto r = co_await ch.recv();
            CHECK(r.value() == i);
        }
        CHECK(ch.try_recv().value() == 4);
        auto r = co_await ch.recv();
        CHECK(r.error() == std::errc::io_error);
        auto again = co_await ch.recv();
        CHECK(again.error() == std::errc::io_error);
    }
}

TEST_TASK("a value that a parked sender still holds is not received after the close") {
    channel<int> ch(1);
    REQUIRE(ch.try_send(1));
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.send(2);
        CHECK(r.error() == errc::closed);
    });
    co_await until_all_parked();
    ch.close();
    auto a = co_await ch.recv();
    CHECK(a.value() == 1);
    auto b = co_await ch.recv();
    CHECK(b.error() == errc::closed);
    co_await wg.wait();
}

TEST_TASK("a value handed over before the close is received after it") {
    channel<int> ch;
    int got = 0;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch.recv();
        got = r.value();
    });
    co_await until_all_parked();
    REQUIRE(ch.try_send(4));
    ch.close();
    co_await wg.wait();
    CHECK(got == 4);
}

TEST_TASK("a directional view closes, and waiting ranges over the channel end") {
    channel<int> ch(2);
    int sum = 0;
    wait_group wg;
    wg.go(
        [&](recv_channel<int> in) -> task<> {
            while (auto v = co_await in.recv()) sum += *v;
        },
        ch);
    wg.go(
        [](send_channel<int> out) -> task<> {
            for (int i = 1; i <= 10; ++i) {
                auto r = co_await out.send(i);
                CHECK(r);
            }
            CHECK(out.close());
            CHECK(out.closed());
        },
        ch);
    co_await wg.wait();
    CHECK(sum == 55);
}

TEST_TASK("a parked receive keeps its channel alive through a send") {
    auto ch = std::make_unique<channel<int>>();
    send_channel<int> tx = *ch;
    std::optional<result<int>> got;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch->recv();
        got = r;
    });
    co_await until_all_parked();
    ch.reset();
    REQUIRE(tx.try_send(5));
    tx = nil;
    co_await wg.wait();
    CHECK(got.value().value() == 5);
}

TEST_TASK("a parked receive keeps its channel alive through the close that ends it") {
    auto ch = std::make_unique<channel<int>>();
    std::error_code why;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch->recv();
        why = r.error();
    });
    co_await until_all_parked();
    ch->close(std::make_error_code(std::errc::io_error));
    ch.reset();
    co_await wg.wait();
    CHECK(why == std::errc::io_error);
}

TEST_TASK("a parked receive in a select keeps its channel alive through the close that ends it") {
    auto ch = std::make_unique<channel<int>>();
    channel<int> never;
    std::error_code why;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select(ch->recv(), never.recv());
        why = get<0>(s).error();
    });
    co_await until_all_parked();
    ch->close(std::make_error_code(std::errc::io_error));
    ch.reset();
    co_await wg.wait();
    CHECK(why == std::errc::io_error);
}

TEST_TASK("a parked send keeps its channel alive through the close that ends it") {
    auto ch = std::make_unique<channel<box>>();
    box v = std::make_unique<int>(1);
    wait_group wg;
    wg.go([&]() -> task<> {
        auto r = co_await ch->send(std::move(v));
        CHECK(r.error() == errc::closed);
    });
    co_await until_all_parked();
    ch->close();
    ch.reset();
    co_await wg.wait();
    CHECK(v);
}

TEST_TASK("a parked reservation keeps its channel alive until its permit takes over") {
    auto ch = std::make_unique<channel<int>>(1);
    REQUIRE(ch->try_send(1));
    bool had = false;
    wait_group wg;
    wg.go([&]() -> task<> {
        auto p = co_await ch->reserve();
        had = p.has_value();
        if (p) CHECK(p->send(2));
    });
    co_await until_all_parked();
    CHECK(ch->try_recv().value() == 1);
    ch.reset();
    co_await wg.wait();
    CHECK(had);
}

TEST_TASK_STAGED("a parked recv_many keeps its channel alive through send and through close") {
    for (bool closing : {false, true}) {
        auto ch = std::make_unique<channel<int>>(4);
        std::vector<int> out;
        out.reserve(4);
        std::error_code why;
        wait_group wg;
        wg.go([&]() -> task<> {
            auto n = co_await ch->recv_many(out, 3);
            why = n.error();
        });
        co_await until_all_parked();
        if (closing) {
            ch->close(std::make_error_code(std::errc::io_error));
        } else {
            REQUIRE(ch->try_send(1));
            REQUIRE(ch->try_send(2));
        }
        ch.reset();
        co_await wg.wait();
        if (closing) CHECK(why == std::errc::io_error);
        else CHECK(out == std::vector<int>{1, 2});
    }
}

TEST_TASK("a parked operation that is cancelled may be the last to hold its channel") {
    auto ch = std::make_unique<channel<box>>(1);
    box v = std::make_unique<int>(1);
    REQUIRE(ch->try_send(std::make_unique<int>(2)));
    auto h = spawn([&]() -> task<> { (void)co_await ch->send(std::move(v)); });
    co_await until_all_parked();
    ch.reset();
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    CHECK(v);
}

TEST_TASK("a close with a code of value 0 is a close with closed") {
    channel<int> ch;
    CHECK(ch.close(std::error_code()));
    CHECK(ch.closed());
    CHECK(ch.reason() == errc::closed);
    const auto got = co_await ch.recv();
    CHECK(got.error() == errc::closed);

    auto [tx, rx] = make_ends<int>(1);
    CHECK(tx.close(std::error_code(0, std::system_category())));
    const auto end = co_await rx.recv();
    CHECK(end.error() == errc::closed);
}
