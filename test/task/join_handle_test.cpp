#include <support.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::mourner;
using test_support::until_all_parked;
using test_support::until_parked;

namespace {

task<int> answer() { co_return 42; }
task<> nothing() { co_return; }
task<std::unique_ptr<int>> move_only() { co_return std::make_unique<int>(7); }
task<result<int>> succeeds() { co_return 1; }
task<result<int>> fails() { co_return fail(std::make_error_code(std::errc::no_such_file_or_directory)); }
task<result<void>> fails_void() { co_return fail(errc::closed); }
task<int> throws() {
    throw std::runtime_error("joined");
    co_return 0;
}
task<> forever() {
    channel<int> never = nil;
    auto r = co_await never.recv();
    static_cast<void>(r);
}
task<> forever_noted(std::string& log, char letter) {
    mourner m(log, letter);
    co_await forever();
}

} // namespace

static_assert(!std::is_copy_constructible_v<join_handle<int>>);
static_assert(std::is_nothrow_move_constructible_v<join_handle<int>>);

TEST_TASK("a join gives the value, be it of any kind") {
    auto a = spawn(answer);
    result<int> n = co_await a.join();
    REQUIRE(test_support::holds(n, 42));
    auto b = spawn(nothing);
    result<void> v = co_await b.join();
    REQUIRE(v.has_value());
    auto c = spawn(move_only);
    result<std::unique_ptr<int>> p = co_await c.join();
    REQUIRE(**p == 7);
}

TEST_TASK("a join over a task of a result gives that result and not a nest") {
    auto a = spawn(succeeds);
    result<int> n = co_await a.join();
    REQUIRE(test_support::holds(n, 1));
    auto b = spawn(fails);
    result<int> e = co_await b.join();
    REQUIRE(e.error() == std::errc::no_such_file_or_directory);
    auto c = spawn(fails_void);
    result<void> v = co_await c.join();
    REQUIRE(v.error() == errc::closed);
}

TEST_TASK("a join of a task that gives a reference gives the object itself") {
    int x = 0;
    auto h = spawn([&x]() -> task<int&> { co_return x; });
    result<int&> r = co_await h.join();
    REQUIRE(&*r == &x);
}

TEST_TASK("a join throws what the task threw") {
    auto h = spawn(throws);
    std::string what;
    try {
        auto r = co_await h.join();
        static_cast<void>(r);
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    REQUIRE(what == "joined");
    REQUIRE(!h);
}

TEST_TASK("a join gives the reason for which the task was cancelled") {
    auto h = spawn(forever);
    co_await this_task::yield();
    REQUIRE(h.cancel(std::make_error_code(std::errc::host_unreachable)));
    REQUIRE(!h.cancel());
    auto r = co_await h.join();
    REQUIRE(r.error() == std::errc::host_unreachable);
}

TEST_TASK("a join of a task that ended long ago is ready") {
    auto h = spawn(answer);
    while (!h.done()) co_await this_task::yield();
    auto r = co_await h.join();
    REQUIRE(*r == 42);
    REQUIRE(!h);
}

TEST_TASK_STAGED("a task cancelled before it began runs to its first operation and no further") {
    int steps = 0;
    auto h = spawn([&steps]() -> task<> {
        ++steps;
        co_await nothing(); // awaiting a task is no operation
        ++steps;
        co_await this_task::yield();
        ++steps;
    });
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(r.error() == errc::cancelled);
    REQUIRE(steps == 2);
}

TEST_TASK("a cancelled task that returns all the same gives its value") {
    auto h = spawn(answer);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(test_support::holds(r, 42));
    auto t = spawn(throws);
    t.cancel();
    bool caught = false;
    try {
        auto never = co_await t.join();
        static_cast<void>(never);
    } catch (const std::runtime_error&) {
        caught = true;
    }
    REQUIRE(caught);
}

TEST_TASK("a dropped handle cancels its task and does not wait for it") {
    std::string log;
    {
        auto h = spawn(forever_noted, std::ref(log), 'h');
        co_await until_parked(h);
    }
    REQUIRE(log.empty());
    co_await until_all_parked();
    REQUIRE(log == "h");
}

TEST_TASK("a handle assigned over cancels the task it had") {
    std::string log;
    auto h = spawn(forever_noted, std::ref(log), '1');
    co_await until_parked(h);
    h = spawn(forever_noted, std::ref(log), '2');
    co_await until_all_parked();
    REQUIRE(log == "1");
    h = join_handle<>();
    co_await until_all_parked();
    REQUIRE(log == "12");
}

TEST_TASK("a detached task goes on when its handle has gone") {
    channel<int> out;
    {
        auto h = spawn([out]() -> task<> {
            co_await sleep_for(1ms);
            auto sent = co_await out.send(3);
            static_cast<void>(sent);
        });
        h.detach();
        REQUIRE(!h);
    }
    auto r = co_await out.recv();
    REQUIRE(*r == 3);
}

TEST_TASK("who waits in a join and is cancelled leaves the joined task alone") {
    channel<int> gate;
    auto worker = spawn([gate]() -> task<int> {
        auto r = co_await gate.recv();
        co_return *r;
    });
    auto joiner = spawn(
        [](join_handle<int>& w) -> task<int> {
            auto r = co_await w.join();
            co_return *r;
        },
        std::ref(worker));
    co_await until_parked(joiner);
    joiner.cancel();
    auto gone = co_await joiner.join();
    REQUIRE(gone.error() == errc::cancelled);
    REQUIRE(worker);
    REQUIRE(!worker.done());
    auto sent = co_await gate.send(8);
    REQUIRE(sent);
    auto r = co_await worker.join();
    REQUIRE(test_support::holds(r, 8));
}

TEST_TASK("a join as an arm of select that loses leaves the task joinable") {
    channel<int> gate;
    auto worker = spawn([gate]() -> task<int> {
        auto r = co_await gate.recv();
        co_return *r;
    });
    auto s = co_await select(worker.join(), after(1ms));
    REQUIRE(s.index() == 1);
    auto sent = co_await gate.send(8);
    REQUIRE(sent);
    auto t = co_await select(worker.join(), after(1h));
    REQUIRE(t.index() == 0);
    REQUIRE(test_support::holds(get<0>(t), 8));
}

TEST_TASK("a join's exception in a select comes from get") {
    auto h = spawn(throws);
    auto s = co_await select(h.join());
    REQUIRE(s.index() == 0);
    bool caught = false;
    try {
        static_cast<void>(get<0>(s));
    } catch (const std::runtime_error&) {
        caught = true;
    }
    REQUIRE(caught);
}

TEST_TASK("handles can be moved while the task runs and joined by another task") {
    auto h = spawn([]() -> task<int> {
        co_await sleep_for(1ms);
        co_return 6;
    });
    auto other = spawn(
        [](join_handle<int> mine) -> task<int> {
            auto r = co_await mine.join();
            co_return *r;
        },
        std::move(h));
    REQUIRE(!h);
    auto r = co_await other.join();
    REQUIRE(test_support::holds(r, 6));
}

TEST_CASE("a detached task that throws terminates") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        auto h = spawn(throws);
        h.detach();
        co_await sleep_for(1ms);
    });
    REQUIRE(d.aborted);
    CHECK(d.says("joined"));
    CHECK(d.says("join_handle_test.cpp:"));
}

TEST_CASE("a task that has thrown terminates when its handle is dropped") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        auto h = spawn(throws);
        co_await sleep_for(1ms);
        h = join_handle<int>();
    });
    REQUIRE(d.aborted);
    CHECK(d.says("joined"));
}

TEST_CASE("a task whose handle is dropped and that throws afterwards terminates") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        {
            auto h = spawn(throws);
        }
        co_await sleep_for(1ms);
    });
    REQUIRE(d.aborted);
    CHECK(d.says("joined"));
}

TEST_TASK("the exception of a child is dropped while its parent unwinds") {
    auto parent = spawn([]() -> task<> {
        auto h = spawn([]() -> task<> {
            auto r = co_await or_cancelled(sleep_for(1h));
            static_cast<void>(r);
            throw std::runtime_error("on the way out");
        });
        co_await until_parked(h);
        co_await forever();
    });
    co_await until_all_parked();
    parent.cancel();
    auto r = co_await parent.join();
    REQUIRE(r.error() == errc::cancelled);
}

TEST_TASK("the exception of a child is dropped while another exception unwinds its parent") {
    auto parent = spawn([]() -> task<> {
        auto h = spawn(throws);
        while (!h.done()) co_await this_task::yield();
        throw std::logic_error("the parent's own");
    });
    bool caught = false;
    try {
        auto r = co_await parent.join();
        static_cast<void>(r);
    } catch (const std::logic_error&) {
        caught = true;
    }
    REQUIRE(caught);
}

TEST_CASE("the use of an empty handle terminates and says so") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        join_handle<int> h;
        auto r = co_await h.join();
        static_cast<void>(r);
    });
    REQUIRE(d.aborted);
    CHECK(d.says("a join_handle was used that is empty"));
    auto e = test_support::run_task_to_death([]() -> task<> {
        auto h = spawn(answer);
        auto r = co_await h.join();
        static_cast<void>(r);
        h.cancel();
    });
    REQUIRE(e.aborted);
    CHECK(e.says("a join_handle was used that is empty"));
}
