// The open form: `task_group g; g.go(...); co_await g.wait();`

#include <support.hpp>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <levada/cancel/source.hpp>
#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/shield.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>
#include <levada/task/with_group.hpp>
#include <levada/task/with_token.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::mourner;
using test_support::until_all_parked;

namespace {

task<> forever() { co_await sleep_for(std::chrono::hours::max()); }
task<> forever_noted(std::string& log, char letter) {
    mourner m(log, letter);
    co_await forever();
}
task<> throws(const char* what) {
    throw std::runtime_error(what);
    co_return;
}
task<> add_one(int& n) {
    co_await this_task::yield();
    ++n;
}

} // namespace

static_assert(!std::is_copy_constructible_v<task_group> && !std::is_move_constructible_v<task_group>);

TEST_TASK_STAGED("a group waits for all of its tasks") {
    int n = 0;
    task_group g;
    for (int i = 0; i < 50; ++i) g.go(add_one, std::ref(n));
    REQUIRE(g.size() == 50);
    co_await g.wait();
    REQUIRE(n == 50);
    REQUIRE(g.size() == 0);
    g.go(add_one, std::ref(n)); // and can be used again
    co_await g.wait();
    REQUIRE(n == 51);
}

TEST_TASK("an empty group does not wait") {
    task_group g;
    co_await g.wait();
}

TEST_TASK("the first failure cancels the siblings and is rethrown once, by wait") {
    std::string log;
    task_group g;
    g.go(forever_noted, std::ref(log), 's');
    co_await until_all_parked();
    g.go(throws, "first");
    std::string what;
    try {
        co_await g.wait();
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    REQUIRE(what == "first");
    REQUIRE(log == "s");
    REQUIRE(g.failures().size() == 1);
    co_await g.wait();
}

TEST_TASK("all failures are kept, the first one first") {
    task_group g;
    g.go(throws, "first");
    co_await until_all_parked(); // it has thrown
    g.go([]() -> task<> {
        throw std::runtime_error("second"); // born cancelled, and throws before its first operation
        co_return;
    });
    bool caught = false;
    try {
        co_await g.wait();
    } catch (const std::runtime_error& e) {
        caught = e.what() == std::string("first");
    }
    REQUIRE(caught);
    REQUIRE(g.failures().size() == 2);
}

TEST_TASK("cancelling a group unwinds its tasks and not its owner") {
    std::string log;
    task_group g;
    g.go(forever_noted, std::ref(log), 'a');
    g.go(forever_noted, std::ref(log), 'b');
    co_await until_all_parked();
    REQUIRE(g.cancel());
    REQUIRE(!g.cancel());
    co_await g.wait();
    std::sort(log.begin(), log.end());
    REQUIRE(log == "ab");
    co_await sleep_for(1ms);
    REQUIRE(!this_task::token().cancelled());
}

TEST_TASK("the owner's cancel unwinds the group's tasks before any frame of the owner") {
    std::string log;
    auto owner = spawn([&log]() -> task<> {
        mourner before(log, 'o');
        task_group g;
        mourner after(log, 'p');
        g.go([&log]() -> task<> {
            mourner child(log, 'c');
            co_await forever();
        });
        co_await forever();
    });
    co_await until_all_parked();
    owner.cancel();
    auto r = co_await owner.join();
    REQUIRE(!r);
    REQUIRE(log == "cpo");
}

TEST_TASK("who waits for a group and is cancelled takes the group along") {
    std::string log;
    auto owner = spawn([&log]() -> task<> {
        task_group g;
        g.go(forever_noted, std::ref(log), 'c');
        co_await g.wait();
    });
    co_await until_all_parked();
    owner.cancel();
    auto r = co_await owner.join();
    REQUIRE(r.error() == errc::cancelled);
    REQUIRE(log == "c");
}

TEST_TASK("nested groups unwind from the innermost") {
    std::string log;
    task_group g;
    g.go([&log]() -> task<> {
        mourner outer(log, 'o');
        task_group inner;
        inner.go(forever_noted, std::ref(log), 'i');
        co_await inner.wait();
    });
    co_await until_all_parked();
    g.cancel();
    co_await g.wait();
    REQUIRE(log == "io");
}

TEST_TASK("a group made inside a timeout is unwound with it") {
    std::string log;
    auto r = co_await with_timeout(1ms, [&log]() -> task<> {
        task_group g;
        g.go([&log]() -> task<> {
            mourner m(log, 'c');
            co_await shield([]() -> task<> { co_await sleep_for(5ms); });
            log += 's';
        });
        co_await g.wait();
    });
    log += 't';
    REQUIRE(r.error() == errc::timed_out);
    REQUIRE(log == "sct");
}

TEST_TASK("wait is an arm, and losing it leaves the group as it was") {
    channel<void> gate;
    task_group g;
    g.go([gate]() -> task<> {
        auto r = co_await gate.recv();
        static_cast<void>(r);
    });
    auto s = co_await select(g.wait(), after(1ms));
    REQUIRE(s.index() == 1);
    auto sent = co_await gate.send();
    REQUIRE(sent);
    auto t = co_await select(g.wait(), after(1h));
    REQUIRE(t.index() == 0);
}

TEST_TASK("start waits for room under the limit") {
    int running = 0;
    int most = 0;
    int done = 0;
    event full; // who has begun waits until the limit is reached
    task_group g;
    g.limit(3);
    for (int i = 0; i < 20; ++i) {
        auto job = [&]() -> task<> {
            most = std::max(most, ++running);
            if (running == 3) full.set();
            co_await full.wait();
            co_await sleep_for(1ms);
            --running;
            ++done;
        };
        co_await g.start(job);
    }
    co_await g.wait();
    REQUIRE(most == 3);
    REQUIRE(done == 20);
}

TEST_TASK("try_go starts only where there is room, and the argument is untouched where not") {
    task_group g;
    g.limit(1);
    auto p = std::make_unique<int>(1);
    auto job = [](std::unique_ptr<int>) -> task<> { co_await sleep_for(1ms); };
    REQUIRE(g.try_go(forever));
    REQUIRE(!g.try_go(job, std::move(p)));
    REQUIRE(p);
    g.limit(2);
    REQUIRE(g.try_go(job, std::move(p)));
    REQUIRE(!p);
    g.go(forever); // a limit does not hold up go
    REQUIRE(g.size() == 3);
    g.cancel();
    co_await g.wait();
}

TEST_TASK("a limit raised wakes those who wait for room") {
    int n = 0;
    task_group g;
    g.limit(1);
    g.go(forever);
    auto starter = spawn(
        [](task_group& group, int& count) -> task<> {
            co_await group.start(add_one, std::ref(count));
            co_await group.start(add_one, std::ref(count));
        },
        std::ref(g), std::ref(n));
    co_await test_support::until_parked(starter);
    REQUIRE(n == 0);
    g.limit(0);
    auto r = co_await starter.join();
    REQUIRE(r.has_value());
    g.cancel();
    co_await g.wait();
}

TEST_TASK("start waits under a timeout, and starts when there is room in time") {
    int n = 0;
    task_group g;
    g.limit(1);
    g.go([]() -> task<> { co_await sleep_for(2ms); });
    auto late = co_await with_timeout(1ms, g.start(add_one, std::ref(n)));
    REQUIRE(late.error() == errc::timed_out);
    auto started = co_await with_timeout(1h, g.start(add_one, std::ref(n)));
    REQUIRE(started.has_value());
    co_await g.wait();
    REQUIRE(n == 1);
    REQUIRE(g.try_go(add_one, std::ref(n))); // the place has been given back
    co_await g.wait();
}

TEST_TASK("after on_failure the siblings go on, and failures are not kept") {
    std::vector<std::string> seen;
    int n = 0;
    task_group g;
    g.on_failure([&seen](std::exception_ptr e) {
        try {
            std::rethrow_exception(e);
        } catch (const std::exception& x) {
            seen.emplace_back(x.what());
        }
    });
    for (int i = 0; i < 3; ++i) g.go(throws, "session");
    g.go([&n]() -> task<> {
        co_await sleep_for(1ms);
        ++n;
    });
    co_await g.wait();
    REQUIRE(seen.size() == 3);
    REQUIRE(n == 1);
    REQUIRE(g.failures().empty());
}

TEST_TASK_ALONE("finished children hold no memory") {
    task_group g;
    g.go(forever);
    co_await until_all_parked();
    const std::size_t before = frame_pool::live();
    for (int i = 0; i < 1000; ++i) {
        int n = 0;
        g.go(add_one, std::ref(n));
        while (n == 0) co_await this_task::yield();
        REQUIRE(g.size() == 1);
    }
    REQUIRE(frame_pool::live() == before);
    g.cancel();
    co_await g.wait();
}

TEST_CASE("a group destroyed while its tasks run terminates and names its line") {
    const auto line = std::to_string(__LINE__ + 2);
    auto d = test_support::run_task_to_death([]() -> task<> {
        task_group g;
        g.go(forever);
        co_await this_task::yield();
    });
    REQUIRE(d.aborted);
    CHECK(d.says("a task_group was destroyed while its tasks run"));
    CHECK(d.says("task_group_test.cpp:" + line));
}

TEST_CASE("a group made outside of a task terminates and says so") {
    auto d = test_support::run_to_death([] { task_group g; });
    REQUIRE(d.aborted);
    CHECK(d.says("outside of a task"));
}

TEST_TASK("a cancel with a code of value 0 is a cancel with cancelled") {
    const std::error_code zero;
    cancel_source source;
    CHECK(source.cancel(zero));
    CHECK(source.token().reason() == errc::cancelled);
    const auto under = co_await with_token(source.token(), []() -> task<> { co_await this_task::yield(); });
    CHECK(under.error() == errc::cancelled);

    auto h = spawn([]() -> task<> { co_await cancel_token(this_task::token()).done(); });
    CHECK(h.cancel(zero));
    const auto joined = co_await h.join();
    CHECK((joined || joined.error() == errc::cancelled));

    task_group g;
    CHECK(g.cancel(zero));
    CHECK(g.token().reason() == errc::cancelled);

    const cancel_source late(now() - 1s, {}, zero);
    CHECK(late.token().reason() == errc::timed_out);
}

TEST_CASE("a function for failures that throws ends the program with words") {
    const auto d = test_support::run_task_to_death([]() -> task<> {
        co_await with_group([](task_group& g) -> task<> {
            g.on_failure([](std::exception_ptr) { throw std::runtime_error("out of paper"); });
            g.go([] { throw std::logic_error("first"); });
            co_return;
        });
    });
    CHECK(d.aborted);
    CHECK(d.says("the function given to on_failure threw: out of paper"));
}

TEST_TASK("all failures are kept in their order, and the first is thrown once") {
    task_group g;
    for (const char* words : {"a", "b", "c"})
        g.go([words]() -> task<> {
            throw std::runtime_error(words);
            co_return;
        });
    bool threw = false;
    try {
        co_await g.wait();
    } catch (const std::runtime_error&) {
        threw = true;
    }
    CHECK(threw);
    CHECK(g.failures().size() == 3);
    co_await g.wait();
}
