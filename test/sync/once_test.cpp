#include "support.hpp"

#include <levada/sync/event.hpp>
#include <levada/sync/once.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_parked;

static_assert(!std::is_copy_constructible_v<once> && !std::is_move_constructible_v<once>);

namespace {

task<> slowly(int& runs) {
    co_await sleep_for(1ms);
    ++runs;
}

} // namespace

TEST_TASK("of many callers one runs it, and none returns before it is done") {
    once o;
    wait_group wg;
    int runs = 0, early = 0;
    CHECK_FALSE(o.done());
    for (int i = 0; i < 8; ++i) {
        wg.go([&]() -> task<> {
            co_await o.call(slowly, std::ref(runs));
            early += runs != 1;
        });
    }
    co_await wg.wait();
    CHECK(runs == 1);
    CHECK(early == 0);
    CHECK(o.done());
    co_await o.call(slowly, std::ref(runs));
    CHECK(runs == 1);
}

TEST_TASK("it takes plain callables, move-only arguments, and what gives a value") {
    once a, b, c;
    int sum = 0;
    co_await a.call([&sum](int n) { return sum += n; }, 3);
    co_await a.call([&sum](int n) { return sum += n; }, 3);
    CHECK(sum == 3);
    auto argument = std::make_unique<int>(4);
    co_await b.call([&sum](std::unique_ptr<int> p) -> task<int> { co_return sum += *p; },
                    std::move(argument));
    CHECK(sum == 7);
    auto named = [&sum, p = std::make_shared<int>(5)] { sum += *p; };
    co_await c.call(named);

    CHECK(sum == 12);
}

TEST_TASK("if it throws its caller hears of it, and the next one runs it") {
    once o;
    int runs = 0, heard = 0;
    auto call = [&]() -> task<> {
        auto body = [&runs]() -> task<> {
            co_await sleep_for(1ms);
            if (++runs < 3) throw std::runtime_error("not yet");
        };
        try {
            co_await o.call(body);
        } catch (const std::runtime_error&) {
            ++heard;
        }
    };
    wait_group wg;
    for (int i = 0; i < 6; ++i) wg.go(call);
    co_await wg.wait();
    CHECK(runs == 3);
    CHECK(heard == 2);
    CHECK(o.done());
}

TEST_TASK("if a plain callable throws it is not done") {
    once o;
    std::string said;
    try {
        co_await o.call([] { throw std::runtime_error("broken"); });
    } catch (const std::runtime_error& e) {
        said = e.what();
    }
    CHECK(said == "broken");
    CHECK_FALSE(o.done());
    co_await o.call([] {});
    CHECK(o.done());
}

TEST_TASK("if the one who runs it is cancelled it unwinds, and the next one runs it") {
    once o;
    std::string log;
    auto first = spawn([&]() -> task<> {
        auto body = [&log]() -> task<> {
            test_support::mourner gone(log, 'u');
            co_await sleep_for(1h);
            log.push_back('?');
        };
        co_await o.call(body);
        log.push_back('?');
    });
    co_await until_parked(first);
    auto second = spawn([&]() -> task<> {
        co_await o.call([&log] { log.push_back('r'); });
        log.push_back('2');
    });
    co_await until_parked(second);
    CHECK_FALSE(o.done());
    first.cancel();
    std::ignore = co_await second.join();
    std::ignore = co_await first.join();
    CHECK(log == "ur2");
    CHECK(o.done());
}

TEST_TASK("if its time runs out it is not done") {
    once o;
    int runs = 0;
    auto body = [&]() -> task<> { co_await o.call(slowly, std::ref(runs)); };
    auto late = co_await with_timeout(1us, body);
    CHECK(late.error() == errc::timed_out);
    CHECK_FALSE(o.done());
    co_await body();
    CHECK(runs == 1);
}

TEST_TASK("one who waits for it may be cancelled, and the others wait on") {
    once o;
    event may_end;
    int runs = 0;
    const auto calls = [&]() -> task<> {
        auto body = [&]() -> task<> {
            co_await may_end.wait();
            ++runs;
        };
        co_await o.call(body);
    };
    auto runner = spawn(calls);
    co_await until_parked(runner);
    auto gone = spawn(calls);
    co_await until_parked(gone);
    auto stays = spawn(calls);
    co_await until_parked(stays);
    gone.cancel();
    auto r = co_await gone.join();
    CHECK(r.error() == errc::cancelled);
    may_end.set();
    auto s = co_await stays.join();
    CHECK(s.has_value());
    CHECK(runs == 1);
    std::ignore = co_await runner.join();
}

TEST_TASK("a cancelled task passes what is done, as a call of it is no operation") {
    once o;
    co_await o.call([] {});
    bool passed = false;
    auto h = spawn([&]() -> task<> {
        co_await o.call([] {});
        passed = true;
    });
    h.cancel();
    std::ignore = co_await h.join();
    CHECK(passed);
}

TEST_CASE("a once destroyed while a call runs terminates and names where it was made") {
    const unsigned line = __LINE__ + 2;
    auto d = test_support::run_task_to_death([]() -> task<> {
        std::unique_ptr<once> o(new once());
        auto h =
            spawn([&raw = *o]() -> task<> { co_await raw.call([]() -> task<> { co_await sleep_for(1h); }); });
        co_await sleep_for(1ms);
        o.reset();
        std::ignore = co_await h.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("a once was destroyed while a call runs"));
    CHECK(d.says("once_test.cpp:" + std::to_string(line)));
}
