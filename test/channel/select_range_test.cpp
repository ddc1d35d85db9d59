#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <ranges>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

using box = std::unique_ptr<int>;
using recv_arms = std::vector<detail::recv_op<int>>;

recv_arms receive_all(const std::vector<channel<int>>& from) {
    recv_arms arms;
    for (auto& ch : from) arms.push_back(ch.recv());
    return arms;
}

std::vector<channel<int>> make_channels(std::size_t n, std::size_t capacity) {
    std::vector<channel<int>> all;
    for (std::size_t i = 0; i < n; ++i) all.emplace_back(capacity);
    return all;
}

} // namespace

TEST_TASK("a range of arms gives the position and the outcome of the one that was ready") {
    for (std::size_t n : {1u, 3u, 8u, 9u, 32u, 33u, 100u}) {
        auto all = make_channels(n, 1);
        for (std::size_t i = 0; i < n; i += n / 3 + 1) {
            REQUIRE(all[i].try_send(static_cast<int>(i) + 1000));
            auto arms = receive_all(all);
            auto s = co_await select_range(arms);
            CHECK(s.position == i);
            CHECK(s.outcome.value() == static_cast<int>(i) + 1000);
        }
    }
}

TEST_TASK("a parked range of arms is woken by any of them, and lets go of the others") {
    for (std::size_t n : {1u, 3u, 8u, 9u, 32u, 33u, 100u}) {
        auto all = make_channels(n, 0);
        for (std::size_t i : {std::size_t(0), n / 2, n - 1}) {
            std::size_t position = ~std::size_t(0);
            wait_group wg;
            wg.go([&]() -> task<> {
                auto arms = receive_all(all);
                auto s = co_await select_range(arms);
                position = s.position;
                CHECK(s.outcome.value() == 7);
            });
            co_await until_all_parked();
            CHECK(all[i].try_send(7));
            for (auto& ch : all) CHECK(ch.try_send(8).error() == errc::full);
            co_await wg.wait();
            CHECK(position == i);
        }
    }
}

TEST_TASK("a temporary range is kept for as long as the select waits") {
    auto all = make_channels(20, 0);
    wait_group wg;
    wg.go([&]() -> task<> {
        auto s = co_await select_range(receive_all(all));
        CHECK(s.position == 13);
    });
    co_await until_all_parked();
    CHECK(all[13].try_send(7));
    wg.go([&]() -> task<> {
        auto receive = [](const channel<int>& ch) { return ch.recv(); };
        auto s = co_await select_range(std::views::transform(all, receive));
        CHECK(s.position == 5);
    });
    co_await until_all_parked();
    CHECK(all[5].try_send(7));
    co_await wg.wait();
}

TEST_TASK("a view of arms that stand elsewhere is used where they stand") {
    auto all = make_channels(10, 1);
    auto arms = receive_all(all);
    auto some = std::views::all(arms);
    REQUIRE(all[4].try_send(7));
    auto s = co_await select_range(some);
    CHECK(s.position == 4);
    std::array<detail::recv_op<int>, 2> two{all[0].recv(), all[1].recv()};
    REQUIRE(all[1].try_send(7));
    auto t = co_await select_range(two);
    CHECK(t.position == 1);
}

TEST_TASK("a range of one ready arm beside others that never are") {
    for (int i = 0; i < 30; ++i) {
        auto all = make_channels(5, 0);
        all[2].close();
        auto arms = receive_all(all);
        auto s = co_await select_range(arms);
        CHECK(s.position == 2);
        CHECK(s.outcome.error() == errc::closed);
    }
}

TEST_TASK("a range as an arm of select keeps its positions among other arms") {
    auto first = make_channels(3, 1), second = make_channels(40, 1);
    channel<int> between(1);
    auto pick = [&](channel<int>& ready) -> task<std::pair<std::size_t, std::size_t>> {
        REQUIRE(ready.try_send(1));
        auto a = receive_all(first);
        auto b = receive_all(second);
        auto s = co_await select(select_range(a), between.recv(), select_range(b), after(1h));
        std::pair<std::size_t, std::size_t> at(s.index(), 0);
        if (s.index() == 0) at.second = get<0>(s).position;
        if (s.index() == 2) at.second = get<2>(s).position;
        co_return at;
    };
    using at = std::pair<std::size_t, std::size_t>;
    auto a = co_await pick(first[0]);
    CHECK(a == at(0, 0));
    auto b = co_await pick(first[2]);
    CHECK(b == at(0, 2));
    auto c = co_await pick(between);
    CHECK(c == at(1, 0));
    auto d = co_await pick(second[0]);
    CHECK(d == at(2, 0));
    auto e = co_await pick(second[39]);
    CHECK(e == at(2, 39));
}

TEST_TASK("a parked select over ranges is woken by an arm of the last range, or by the timer") {
    auto first = make_channels(3, 0), second = make_channels(4, 0);
    wait_group wg;
    wg.go([&]() -> task<> {
        auto a = receive_all(first);
        auto b = receive_all(second);
        auto s = co_await select(select_range(a), select_range(b), after(1h));
        REQUIRE(s.index() == 1);
        CHECK(get<1>(s).position == 3);
        CHECK(get<1>(s).outcome.value() == 9);
    });
    co_await until_all_parked();
    CHECK(second[3].try_send(9));
    co_await wg.wait();
    auto a = receive_all(first);
    auto s = co_await select(select_range(a), after(1ms));
    CHECK(s.index() == 1);
}

TEST_TASK("otherwise beside a range, empty or not, is taken when nothing is ready") {
    auto all = make_channels(3, 0);
    auto arms = receive_all(all);
    auto s = co_await select(otherwise, select_range(arms));
    CHECK(s.index() == 0);
    recv_arms none;
    auto t = co_await select(select_range(none), otherwise);
    CHECK(t.index() == 1);
}

TEST_TASK("an empty range blocks for ever, and can be cancelled") {
    auto h = spawn([]() -> task<> {
        recv_arms none;
        (void)co_await select_range(none);
        FAIL_CHECK("an empty select came back");
    });
    co_await until_all_parked();
    CHECK_FALSE(h.done());
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    recv_arms none;
    auto s = co_await select(select_range(none), after(1ms));
    CHECK(s.index() == 1);
}

TEST_TASK("a range of sends moves the winner's value only") {
    std::vector<channel<box>> all(4);
    std::vector<box> values;
    for (int i = 0; i < 4; ++i) values.push_back(std::make_unique<int>(i));
    wait_group wg;
    wg.go([&]() -> task<> {
        std::vector<detail::send_op<box>> arms;
        for (std::size_t i = 0; i < 4; ++i) arms.push_back(all[i].send(std::move(values[i])));
        auto s = co_await select_range(arms);
        CHECK(s.position == 2);
        CHECK(s.outcome);
    });
    co_await until_all_parked();
    auto r = co_await all[2].recv();
    CHECK(**r == 2);
    co_await wg.wait();
    CHECK(values[0]);
    CHECK(values[1]);
    CHECK_FALSE(values[2]);
    CHECK(values[3]);
}

TEST_TASK("a range may name the same channel many times") {
    channel<int> ch;
    wait_group wg;
    wg.go([&]() -> task<> {
        for (int i = 0; i < 10; ++i) {
            auto arms = receive_all(std::vector<channel<int>>(50, ch));
            auto s = co_await select_range(arms);
            CHECK(s.outcome.value() == i);
        }
    });
    for (int i = 0; i < 10; ++i) {
        auto r = co_await ch.send(i);
        CHECK(r);
    }
    co_await wg.wait();
}

TEST_TASK("a range of joins waits for the first task that ends") {
    std::vector<join_handle<int>> tasks;
    for (int i = 0; i < 5; ++i) {
        tasks.push_back(spawn(
            [](int n) -> task<int> {
                co_await sleep_for(n == 3 ? 1ms : 3'600'000ms);
                co_return n;
            },
            i));
    }
    std::vector<detail::join_op<int>> arms;
    for (auto& t : tasks) arms.push_back(t.join());
    auto s = co_await select_range(arms);
    CHECK(s.position == 3);
    CHECK(s.outcome.value() == 3);
}

TEST_TASK("a range of timers has no outcome but a position") {
    std::vector<detail::timer_arm> arms;
    for (duration d : {duration(1h), duration(1ms), duration(2h)}) arms.push_back(after(d));
    auto s = co_await select_range(arms);
    CHECK(s.position == 1);
}

TEST_TASK("a cancelled task lets go of all the arms of its range") {
    auto all = make_channels(40, 0);
    auto h = spawn([&]() -> task<> {
        auto arms = receive_all(all);
        (void)co_await select_range(arms);
    });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    for (auto& ch : all) CHECK(ch.try_send(1).error() == errc::full);
}
