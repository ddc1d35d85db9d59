#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <unistd.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

task<> throws_after(duration d, const char* what) {
    co_await sleep_for(d);
    throw std::runtime_error(what);
}

} // namespace

TEST_TASK("wait returns at once while the count is zero") {
    wait_group wg;
    CHECK(wg.count() == 0);
    co_await wg.wait();
    wg.add();
    wg.done();
    co_await wg.wait();
}

TEST_TASK("wait does not return before the last done") {
    wait_group wg;
    wg.add(3);
    CHECK(wg.count() == 3);
    int done = 0;
    auto h = spawn([&]() -> task<> {
        for (int i = 0; i < 3; ++i) {
            co_await sleep_for(1ms);
            ++done;
            wg.done();
        }
    });
    co_await wg.wait();
    CHECK(done == 3);
    auto r = co_await h.join();
    CHECK(r);
}

TEST_TASK("add takes any number, negative ones too") {
    wait_group wg;
    wg.add(10);
    wg.add(-4);
    CHECK(wg.count() == 6);
    wg.add(0);
    wg.add(-6);
    co_await wg.wait();
}

TEST_TASK("go counts, and counts down when the task's frame and arguments are gone") {
    wait_group wg;
    std::string log;
    for (int i = 0; i < 5; ++i) {
        wg.go(
            [](test_support::mourner argument) -> task<> {
                test_support::mourner local = std::move(argument);
                co_await sleep_for(1ms);
            },
            test_support::mourner(log, 'x'));
    }
    CHECK(wg.count() == 5);
    co_await wg.wait();
    CHECK(log == "xxxxx");
    CHECK(wg.count() == 0);
}

TEST_TASK("go takes plain callables and passes arguments") {
    wait_group wg;
    int sum = 0;
    for (int i = 1; i <= 4; ++i) wg.go([&sum](int n) { sum += n; }, i);
    co_await wg.wait();
    CHECK(sum == 10);
}

TEST_TASK("the first exception is rethrown by wait once, and the siblings went on") {
    wait_group wg;
    int finished = 0;
    bool all = false; // have been started
    wg.go([&]() -> task<> {
        while (!all || wg.count() == 5) co_await sleep_for(1ms); // the other one has not failed yet
        throw std::runtime_error("second");
    });
    wg.go(throws_after, 1ms, "first");
    for (int i = 0; i < 3; ++i) {
        wg.go([&]() -> task<> {
            while (!all || wg.count() > 3) co_await sleep_for(1ms); // both have failed then
            ++finished;
        });
    }
    all = true;
    std::string said;
    try {
        co_await wg.wait();
    } catch (const std::runtime_error& e) {
        said = e.what();
    }
    CHECK(said == "first");
    CHECK(finished == 3);
    co_await wg.wait(); // once
}

TEST_TASK("an exception that is thrown before the first suspension is kept too") {
    wait_group wg;
    wg.go([] { throw std::runtime_error("plain"); });
    std::string said;
    try {
        co_await wg.wait();
    } catch (const std::runtime_error& e) {
        said = e.what();
    }
    CHECK(said == "plain");
}

TEST_TASK("several waiters all return") {
    wait_group wg;
    wg.add();
    wait_group waiters;
    int returned = 0;
    for (int i = 0; i < 10; ++i) {
        waiters.go([&]() -> task<> {
            co_await wg.wait();
            ++returned;
        });
    }
    co_await until_all_parked();
    CHECK(returned == 0);
    wg.done();
    co_await waiters.wait();
    CHECK(returned == 10);
}

TEST_TASK("a wait_group may be used again after its count came to zero") {
    wait_group wg;
    for (int round = 0; round < 5; ++round) {
        int n = 0;
        for (int i = 0; i < 3; ++i) {
            wg.go([&]() -> task<> {
                co_await this_task::yield();
                ++n;
            });
        }
        co_await wg.wait();
        CHECK(n == 3);
    }
}

TEST_TASK("a wait_group may be destroyed as soon as wait has returned") {
    for (int i = 0; i < 20; ++i) {
        auto wg = std::make_unique<wait_group>();
        wg->add();
        auto h = spawn([&raw = *wg]() -> task<> {
            co_await this_task::yield();
            raw.done();
        });
        co_await wg->wait();
        wg.reset();
        auto again = std::make_unique<wait_group>();
        again->go([]() -> task<> { co_await this_task::yield(); });
        co_await again->wait();
        again.reset();
        auto r = co_await h.join();
        CHECK(r);
    }
}

TEST_TASK("a cancelled wait takes nothing back, and the others wait on") {
    wait_group wg;
    wg.add();
    auto gone = spawn([&]() -> task<> { co_await wg.wait(); });
    bool returned = false;
    auto stays = spawn([&]() -> task<> {
        co_await wg.wait();
        returned = true;
    });
    co_await until_all_parked();
    gone.cancel();
    auto r = co_await gone.join();
    CHECK(r.error() == errc::cancelled);
    CHECK(wg.count() == 1);
    CHECK_FALSE(returned);
    wg.done();
    auto s = co_await stays.join();
    CHECK(s);
    CHECK(returned);
}

TEST_TASK("unwinding does not wait for a count that was made by add") {
    auto h = spawn([]() -> task<> {
        wait_group wg;
        wg.add(); // nobody will ever count down
        co_await wg.wait();
    });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
}

TEST_TASK("unwinding cancels and awaits the tasks of go before the parent's frame goes") {
    std::string log;
    auto h = spawn([&]() -> task<> {
        test_support::mourner parent(log, 'P');
        wait_group wg;
        for (int i = 0; i < 3; ++i) {
            wg.go([&log]() -> task<> {
                test_support::mourner child(log, 'c');
                co_await sleep_for(1h);
            });
        }
        co_await wg.wait();
    });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
    CHECK(log == "cccP");
}

TEST_TASK("an exception of a child while its parent unwinds is dropped") {
    auto h = spawn([]() -> task<> {
        wait_group wg;
        wg.go(throws_after, 0ms, "nobody hears this");
        co_await sleep_for(1h);
    });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.error() == errc::cancelled);
}

TEST_TASK("a worker that closes its channel after the wait loses no result") {
    channel<int> results(2);
    wait_group outer;
    outer.go([&]() -> task<> {
        wait_group wg;
        for (int i = 0; i < 8; ++i) {
            wg.go(
                [](send_channel<int> out, int n) -> task<> {
                    auto r = co_await out.send(n);
                    CHECK(r);
                },
                results, i);
        }
        co_await wg.wait();
        results.close();
    });
    int sum = 0;
    while (auto v = co_await results.recv()) sum += *v;
    CHECK(sum == 28);
    co_await outer.wait();
}

TEST_CASE("a count below zero terminates and names the line of the wait_group") {
    unsigned line = 0;
    auto d = test_support::run_to_death([&] {
        wait_group wg;
        wg.add(2);
        wg.add(-3);
    });
    line = __LINE__ - 4;
    CHECK(d.aborted);
    CHECK(d.says("below 0"));
    CHECK(d.says("wait_group_test.cpp:" + std::to_string(line)));
}

TEST_CASE("a wait_group destroyed while a task waits for it terminates") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        auto wg = std::make_unique<wait_group>();
        wg->add();
        auto h = spawn([&raw = *wg]() -> task<> { co_await raw.wait(); });
        co_await until_all_parked();
        wg.reset();
        (void)co_await h.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("wait_group was destroyed"));
}

TEST_CASE("a wait_group destroyed with running tasks of go terminates") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        ::alarm(60); // it must not hang either
        auto wg = std::make_unique<wait_group>();
        wg->go([]() -> task<> { co_await sleep_for(1h); });
        co_await until_all_parked();
        wg.reset();
        co_await sleep_for(2h);
    });
    CHECK(d.aborted);
    CHECK(d.says("wait_group was destroyed"));
}
