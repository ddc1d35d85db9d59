#include <support.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <levada/channel/channel.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/or_cancelled.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>
#include <levada/task/when_any.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

task<int> later(duration d, int x) {
    co_await sleep_for(d);
    co_return x;
}

} // namespace

TEST_TASK("the first branch to end wins, and the losers have unwound before its outcome is there") {
    std::string log;
    auto r = co_await when_any(
        [&]() -> task<int> {
            const test_support::mourner gone(log, 'a');
            co_await sleep_for(1h);
            co_return 1;
        },
        [] { return later(1ms, 2); },
        [&]() -> task<> {
            const test_support::mourner gone(log, 'c');
            channel<int> never;
            auto v = co_await never.recv();
            CHECK_FALSE(v);
        });
    CHECK(r.index() == 1);
    CHECK(test_support::holds(get<1>(r), 2));
    CHECK(get<0>(r).error() == errc::cancelled);
    CHECK(get<2>(r).error() == errc::cancelled);
    CHECK(log.size() == 2);
}

TEST_TASK("a loser that ends in spite of the cancel is not lost") {
    auto r = co_await when_any([] { return later(1ms, 1); },
                               []() -> task<std::unique_ptr<int>> {
                                   auto slept = co_await or_cancelled(sleep_for(1h));
                                   CHECK_FALSE(slept.has_value());
                                   co_return std::make_unique<int>(2);
                               });
    CHECK(r.index() == 0);
    REQUIRE(get<1>(r).has_value());
    CHECK(**get<1>(r) == 2);
    auto second = levada::get<1>(std::move(r));
    CHECK(second.has_value());
}

TEST_TASK("what the winner threw is thrown, what a loser threw comes from its outcome") {
    bool thrown = false;
    try {
        auto r = co_await when_any([]() -> task<int> { throw std::runtime_error("first"); },
                                   [] { return later(1h, 2); });
        static_cast<void>(r);
    } catch (const std::runtime_error& e) {
        thrown = std::string(e.what()) == "first";
    }
    CHECK(thrown);
    auto r = co_await when_any([] { return later(1ms, 1); },
                               []() -> task<int> {
                                   auto slept = co_await or_cancelled(sleep_for(1h));
                                   static_cast<void>(slept);
                                   throw std::runtime_error("second");
                               });
    CHECK(r.index() == 0);
    CHECK_THROWS_WITH(get<1>(r), "second");
}

TEST_TASK("a branch of a result gives that result, a plain callable its value, a task that was made what it "
          "gives") {
    auto r = co_await when_any([]() -> task<result<int>> { co_return fail(errc::closed); }, later(1h, 7));
    CHECK(r.index() == 0);
    CHECK(get<0>(r).error() == errc::closed);
    auto plain = co_await when_any([] { return std::string("now"); });
    CHECK(test_support::holds(get<0>(plain), "now"));
}

TEST_TASK("of many branches exactly one wins, and the others hold nothing") {
    std::vector<task<int>> all;
    for (int i = 0; i < 50; ++i) all.push_back(later(i == 17 ? duration(1ms) : duration(1h), i));
    auto r = co_await when_any(std::move(all));
    CHECK(r.index() == 17);
    REQUIRE(r.size() == 50);
    for (std::size_t i = 0; i < r.size(); ++i) CHECK(r[i].has_value() == (i == 17));
    CHECK(*r[17] == 17);
    bool refused = false;
    try {
        auto none = co_await when_any(std::vector<task<int>>());
        static_cast<void>(none);
    } catch (const std::invalid_argument&) {
        refused = true;
    }
    CHECK(refused);
}

TEST_TASK("a cancel from outside, and a timeout, reach all branches and leave none behind") {
    std::string log;
    auto r = co_await with_timeout(1ms, [&]() -> task<> {
        auto any = co_await when_any(
            [&]() -> task<> {
                const test_support::mourner gone(log, 'a');
                co_await sleep_for(1h);
            },
            [&]() -> task<> {
                const test_support::mourner gone(log, 'b');
                co_await sleep_for(2h);
            });
        static_cast<void>(any);
        log += "after";
    });
    CHECK(r.error() == errc::timed_out);
    CHECK(log.size() == 2);
}
