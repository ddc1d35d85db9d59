#include "support.hpp"

#include <levada/sync/timer.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>
#include <levada/task/when_all.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;

namespace {

task<int> later(duration d, int x) {
    co_await sleep_for(d);
    co_return x;
}
task<result<int>> refuse() {
    co_await this_task::yield();
    co_return fail(std::make_error_code(std::errc::file_exists));
}
/// Ends when so many others have, which have noted it.
task<> note(std::string& log, char c, std::size_t after) {
    while (log.size() < after) co_await sleep_for(100us);
    log.push_back(c);
}
task<int> throw_later(std::string& log, char c, std::size_t after) {
    co_await note(log, c, after);
    throw std::runtime_error(std::string("thrown by ") + c);
}

} // namespace

TEST_TASK("the outcomes stand in the order of the branches, callables and tasks alike") {
    std::string log;
    auto all =
        co_await when_all([] { return later(300us, 1); }, later(100us, 2), [] { return std::string("3"); },
                          refuse(), note(log, 'n', 1), [&] { log.push_back('p'); });
    CHECK(test_support::holds(std::get<0>(all), 1));
    CHECK(test_support::holds(std::get<1>(all), 2));
    CHECK(test_support::holds(std::get<2>(all), "3"));
    CHECK(std::get<3>(all).error() == std::errc::file_exists); // not a result in a result
    CHECK(std::get<4>(all).has_value());
    CHECK(std::get<5>(all).has_value());
    CHECK(log == "pn");
}

TEST_TASK("branches run side by side, not one after the other") {
    const auto start = now();
    auto all = co_await when_all(later(20ms, 1), later(20ms, 2), later(20ms, 3));
    CHECK(now() - start >= 20ms);
    if (executor::current()->kernel() == nullptr) CHECK(now() - start < 40ms); // virtual time
    CHECK(std::get<2>(all).value() == 3);
}

TEST_TASK("an exception is thrown after all branches have ended, and stops none of them") {
    std::string log;
    std::string what;
    try {
        auto all = co_await when_all(note(log, 'a', 1), throw_later(log, 'b', 0), note(log, 'c', 2));
        (void)all;
    } catch (const std::runtime_error& e) {
        what = e.what();
        CHECK(log == "bac");
    }
    CHECK(what == "thrown by b");
}

TEST_TASK("of several exceptions the first in the order of the arguments is thrown, not the first in time") {
    std::string log;
    std::string what;
    try {
        auto all = co_await when_all(throw_later(log, 'x', 1), throw_later(log, 'y', 0));
        (void)all;
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    CHECK(log == "yx");
    CHECK(what == "thrown by x");
}

TEST_TASK("a run-time number of branches gives a vector in their order") {
    std::vector<task<int>> tasks;
    for (int i = 0; i < 50; ++i) tasks.push_back(later(std::chrono::microseconds(500 - 10 * i), i));
    auto all = co_await when_all(std::move(tasks));
    REQUIRE(all.size() == 50);
    for (int i = 0; i < 50; ++i) CHECK(test_support::holds(all[static_cast<std::size_t>(i)], i));

    std::vector<std::function<int()>> plain;
    for (int i = 0; i < 3; ++i) plain.push_back([i] { return i * i; });
    auto squares = co_await when_all(std::move(plain));
    CHECK(test_support::holds(squares[2], 4));

    auto none = co_await when_all(std::vector<task<>>());
    CHECK(none.empty());
}

TEST_TASK("a vector's exception is thrown after all have ended") {
    std::string log;
    std::vector<task<int>> tasks;
    tasks.push_back(throw_later(log, 'a', 0));
    tasks.push_back(throw_later(log, 'b', 1));
    std::string what;
    try {
        auto all = co_await when_all(std::move(tasks));
        (void)all;
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    CHECK(log == "ab");
    CHECK(what == "thrown by a");
}

TEST_TASK("outcomes may be move-only") {
    auto all = co_await when_all([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(4); },
                                 [] { return std::make_unique<int>(5); });
    CHECK(**std::get<0>(all) == 4);
    CHECK(**std::get<1>(all) == 5);
}

TEST_TASK("cancelling a when_all cancels and joins every branch before the caller's frames go") {
    std::string log;
    auto branch = [&](char c) -> task<> {
        test_support::mourner m(log, c);
        co_await sleep_for(1h);
    };
    auto h = spawn([&]() -> task<> {
        test_support::mourner last(log, 'Z');
        auto all = co_await when_all(branch('b'), branch('b'), branch('b'));
        (void)all;
    });
    co_await test_support::until_all_parked();
    CHECK(log == "");
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    CHECK(log == "bbbZ");
}

TEST_TASK("a when_all under a time limit is cut off and reports it") {
    auto r = co_await with_timeout(1ms, []() -> task<int> {
        auto all = co_await when_all(later(1h, 1), later(0s, 2));
        co_return std::get<1>(all).value();
    });
    CHECK(r.error() == errc::timed_out);
}

TEST_TASK("branches that were never awaited go with the when_all") {
    std::string log;
    {
        auto never = when_all(note(log, 'a', 0), note(log, 'b', 0));
        (void)never;
    }
    CHECK(log == "");
    co_return;
}
