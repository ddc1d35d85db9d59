#include <support.hpp>

#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

/// The order in which ten tasks take their turns.
std::string schedule(std::uint64_t seed) {
    std::string order;
    virtual_loop loop(seed);
    loop.run([&order]() -> task<> {
        co_await with_group([&order](task_group& g) -> task<> {
            for (char c = 'a'; c < 'k'; ++c)
                g.go(
                    [&order](char name) -> task<> {
                        for (int i = 0; i < 3; ++i) {
                            order += name;
                            co_await this_task::yield();
                        }
                    },
                    c);
            co_return;
        });
    });
    return order;
}

std::string choices(std::uint64_t seed) {
    std::string taken;
    virtual_loop loop(seed);
    loop.run([&taken]() -> task<> {
        channel<int> a(64);
        channel<int> b(64);
        for (int i = 0; i < 64; ++i) {
            auto sent = a.try_send(i) && b.try_send(i);
            REQUIRE(sent);
        }
        for (int i = 0; i < 64; ++i) {
            auto s = co_await select(a.recv(), b.recv());
            taken += s.index() == 0 ? 'a' : 'b';
        }
    });
    return taken;
}

/// How a report names an await of this file.
std::string await_at(int line) {
    std::string s = "    at " __FILE__ ":";
    s += std::to_string(line);
    s += " in ";
    return s;
}

} // namespace

TEST_CASE("the same seed gives the same order, and others give others") {
    std::set<std::string> orders;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const std::string order = schedule(seed);
        REQUIRE(order == schedule(seed));
        orders.insert(order);
    }
    REQUIRE(orders.size() == 20);
}

TEST_CASE("what select takes of ready arms follows the seed") {
    REQUIRE(choices(1) == choices(1));
    REQUIRE(choices(1) != choices(2));
}

TEST_CASE("time moves only when every task is parked, and then straight to the next deadline") {
    virtual_loop loop;
    const time_point begin = loop.now();
    loop.run([begin]() -> task<> {
        const time_point t = now();
        REQUIRE(t == begin);
        for (int i = 0; i < 1000; ++i) co_await this_task::yield();
        REQUIRE(now() == t);
        auto busy = spawn([]() -> task<int> {
            int n = 0;
            for (; n < 1000; ++n) co_await this_task::yield();
            co_return n;
        });
        co_await sleep_for(5ms);
        REQUIRE(now() == t + 5ms);
        REQUIRE(busy.done()); // it was ready all the time
        auto r = co_await busy.join();
        REQUIRE(r.has_value());
        co_await sleep_for(24h * 365);
        REQUIRE(now() == t + 5ms + 24h * 365);
    });
    REQUIRE(loop.now() == begin + 5ms + 24h * 365);
}

TEST_CASE("sleepers wake in the order of their deadlines") {
    std::string order;
    virtual_loop loop(3);
    loop.run([&order]() -> task<> {
        co_await with_group([&order](task_group& g) -> task<> {
            const char* names = "dbac";
            const int delays[] = {4, 2, 1, 3};
            for (int i = 0; i < 4; ++i)
                g.go(
                    [&order](char name, int ms) -> task<> {
                        co_await sleep_for(std::chrono::milliseconds(ms));
                        order += name;
                    },
                    names[i], delays[i]);
            co_return;
        });
    });
    REQUIRE(order == "abcd");
}

TEST_CASE("run gives the value, and throws what main threw") {
    virtual_loop loop;
    REQUIRE(loop.run([]() -> task<int> { co_return 3; }) == 3);
    REQUIRE(loop.run([](int a, int b) -> task<int> { co_return a + b; }, 1, 2) == 3);
    REQUIRE(loop.run([] { return 4; }) == 4);
    REQUIRE_THROWS_AS(loop.run([]() -> task<> {
        throw std::out_of_range("main");
        co_return;
    }),
                      std::out_of_range);
    REQUIRE(loop.run([]() -> task<int> { co_return 5; }) == 5); // and runs again
}

namespace {

task<> innermost(channel<int> ch) {
    auto v = co_await ch.recv();
    static_cast<void>(v);
}
task<int> middle(channel<int> ch) {
    co_await this_task::yield();
    co_await innermost(ch);
    co_return 1;
}
constexpr int line_of_innermost = __LINE__ - 8;
constexpr int line_of_middle = line_of_innermost + 5;

} // namespace

TEST_CASE("a deadlock tells the chain of awaits, innermost first, through calls, timeouts and groups") {
    std::string text;
    try {
        virtual_loop loop(3);
        loop.run([]() -> task<> {
            const channel<int> ch;
            const auto body = [&ch](task_group& g) -> task<> {
                g.go([&ch]() -> task<> {
                    auto r = co_await with_deadline(time_point::max(), middle, ch);
                    static_cast<void>(r);
                });
                co_return;
            };
            co_await with_group(body);
        });
    } catch (const deadlock& d) {
        text = d.what();
    }
    INFO(text);
    const auto first = text.find(await_at(line_of_innermost));
    const auto second = text.find(await_at(line_of_middle));
    const auto third = text.find(await_at(line_of_middle + 16));
    REQUIRE(first != std::string::npos);
    REQUIRE(second != std::string::npos);
    REQUIRE(third != std::string::npos);
    CHECK(first < second);
    CHECK(second < third);
    CHECK(text.find(await_at(line_of_middle + 21)) != std::string::npos); // the group's
    CHECK(text.find("innermost(") < second);
    CHECK(text.find("middle(") < third);
    CHECK(text.find("Frame*") == std::string::npos); // g++'s own name
}

TEST_CASE("a deadlock lists every task, where it was started and what it waits for") {
    const std::size_t before = frame_pool::live();
    std::string text;
    const int line = __LINE__;
    try {
        virtual_loop loop(7);
        loop.run([]() -> task<> {
            channel<int> ch;
            this_task::name("main task");
            auto h = spawn([ch]() -> task<> {
                this_task::name("stuck receiver");
                auto r = co_await ch.recv();
                static_cast<void>(r);
            });
            auto s = spawn([]() -> task<> {
                channel<int> full(1);
                auto sent = full.try_send(1);
                static_cast<void>(sent);
                auto r = co_await select(full.send(2), sleep_until(time_point::max()));
                static_cast<void>(r);
            });
            auto r = co_await h.join();
            static_cast<void>(r);
        });
    } catch (const deadlock& d) {
        text = d.what();
    }
    INFO(text);
    CHECK(text.find("all tasks are asleep") != std::string::npos);
    CHECK(text.find("seed 7") != std::string::npos);
    CHECK(text.find("\"main task\"") != std::string::npos);
    CHECK(text.find("waits for join") != std::string::npos);
    CHECK(text.find("\"stuck receiver\" started at ") != std::string::npos);
    CHECK(text.find("virtual_loop_test.cpp:" + std::to_string(line + 6)) != std::string::npos);
    CHECK(text.find("waits for recv on a rendezvous channel") != std::string::npos);
    // Each task's own await.
    for (const int at : {8, 15, 18}) CHECK(text.find(await_at(line + at)) != std::string::npos);
    CHECK(text.find("send on a channel of 1") != std::string::npos);
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("a deadlock lists tasks that wait for a group and those that unwind") {
    std::string text;
    try {
        virtual_loop loop;
        loop.run([]() -> task<> {
            co_await with_group([](task_group& g) -> task<> {
                g.go([]() -> task<> {
                    channel<int> never = nil;
                    auto r = co_await never.recv();
                    static_cast<void>(r);
                });
                co_return;
            });
        });
    } catch (const deadlock& d) {
        text = d.what();
    }
    INFO(text);
    CHECK(text.find("waits for the tasks of its group") != std::string::npos);
    CHECK(text.find("recv on a nil channel") != std::string::npos);
}

TEST_CASE("a task that a timer can wake is no deadlock") {
    virtual_loop loop;
    loop.run([]() -> task<> {
        channel<int> never = nil;
        auto r = co_await with_timeout(24h * 1000, never.recv());
        REQUIRE(r.error() == errc::timed_out);
    });
}

TEST_CASE("explore passes on the failure and prints the seed") {
    auto d = test_support::run_to_death([] {
        try {
            explore(50, []() -> task<> {
                std::string order;
                co_await with_group([&order](task_group& g) -> task<> {
                    for (char c : {'a', 'b', 'c', 'd'}) g.go([&order](char name) { order += name; }, c);
                    co_return;
                });
                if (order == "cbad") throw std::runtime_error("that order");
            });
        } catch (const std::runtime_error& e) {
            std::fprintf(stderr, "caught %s\n", e.what());
        }
    });
    INFO(d.said);
    REQUIRE(!d.aborted);
    CHECK(d.says("caught that order"));
    CHECK(d.says("levada: explore: seed "));
}

LEVADA_TEST_CASE("the macro for users runs a coroutine") {
    channel<int> ch(1);
    auto sent = co_await ch.send(1);
    REQUIRE(sent);
}

TEST_CASE("sources with deadlines that outlive their loop leave nothing behind") {
    const std::size_t before = frame_pool::live();
    {
        cancel_source kept;
        virtual_loop loop;
        loop.run([&kept]() -> task<> {
            kept = cancel_source(24h);
            co_return;
        });
    }
    REQUIRE(frame_pool::live() == before);
}
