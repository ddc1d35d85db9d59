#include <support.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <levada/channel/channel.hpp>
#include <levada/sync/timer.hpp>

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
task<> throws_later(const char* what) {
    co_await sleep_for(1ms);
    throw std::runtime_error(what);
}
task<> add_one(int& n) {
    co_await sleep_for(1ms);
    ++n;
}

} // namespace

TEST_TASK("with_group waits for the group's tasks and gives the body's value") {
    int n = 0;
    const int value = co_await with_group([&](task_group& g) -> task<int> {
        for (int i = 0; i < 10; ++i) g.go(add_one, std::ref(n));
        co_return 42;
    });
    REQUIRE(value == 42);
    REQUIRE(n == 10);
    auto p = co_await with_group(
        [](task_group&) -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(3); });
    REQUIRE(*p == 3);
    int& r = co_await with_group([&](task_group&) -> task<int&> { co_return n; });
    REQUIRE(&r == &n);
}

TEST_TASK("a plain callable is a body too") {
    int n = 0;
    co_await with_group([&](task_group& g) { g.go(add_one, std::ref(n)); });
    REQUIRE(n == 1);
    const int v = co_await with_group([](task_group&) { return 5; });
    REQUIRE(v == 5);
}

TEST_TASK("a child's failure cancels the body and the siblings and is rethrown") {
    std::string log;
    std::string what;
    try {
        co_await with_group([&](task_group& g) -> task<> {
            mourner body(log, 'b');
            g.go(forever_noted, std::ref(log), 's');
            g.go(throws_later, "child");
            co_await forever();
            log += '!';
        });
        log += '!';
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    REQUIRE(what == "child");
    REQUIRE(log == "sb");
}

TEST_TASK("a child's failure after the body has returned leaves no frame of the body") {
    bool caught = false;
    try {
        co_await with_group([](task_group& g) -> task<> {
            g.go(throws_later, "late");
            co_return;
        });
    } catch (const std::runtime_error&) {
        caught = true;
    }
    REQUIRE(caught);
}

TEST_TASK("a child's failure after the body has returned destroys the body's value") {
    auto shared = std::make_shared<int>(1);
    bool caught = false;
    try {
        auto v = co_await with_group([&](task_group& g) -> task<std::shared_ptr<int>> {
            g.go(throws_later, "late");
            co_return shared;
        });
        REQUIRE(v);
    } catch (const std::runtime_error&) {
        caught = true;
    }
    REQUIRE(caught);
    REQUIRE(shared.use_count() == 1);
}

TEST_TASK("a child that fails at once, before the body awaits anything, leaves no frame") {
    bool caught = false;
    try {
        const int v = co_await with_group([](task_group& g) -> task<int> {
            g.go(throws, "at once");
            co_return 1;
        });
        REQUIRE(v == 0);
    } catch (const std::runtime_error&) {
        caught = true;
    }
    REQUIRE(caught);
}

TEST_TASK("a body that throws cancels and joins the tasks, and its exception is the one rethrown") {
    std::string log;
    std::string what;
    try {
        co_await with_group([&](task_group& g) -> task<> {
            g.go(forever_noted, std::ref(log), 'a');
            g.go(forever_noted, std::ref(log), 'b');
            co_await until_all_parked();
            throw std::runtime_error("body");
        });
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    REQUIRE(what == "body");
    REQUIRE(log.size() == 2);
}

TEST_TASK("a body that is a plain callable and throws cancels and joins the tasks") {
    std::string what;
    try {
        co_await with_group([&](task_group& g) {
            g.go(forever);
            throw std::runtime_error("plain body");
        });
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    REQUIRE(what == "plain body");
}

TEST_TASK("g.cancel in the body unwinds body and tasks, and with_group returns") {
    std::string log;
    co_await with_group([&](task_group& g) -> task<> {
        mourner body(log, 'b');
        g.go(forever_noted, std::ref(log), 's');
        co_await until_all_parked();
        g.cancel();
        co_await sleep_for(1ms);
        log += '!';
    });
    REQUIRE(log == "sb");
    co_await this_task::yield();
}

TEST_TASK("g.cancel and co_return gives the value") {
    const int v = co_await with_group([](task_group& g) -> task<int> {
        g.go(forever);
        co_await this_task::yield();
        g.cancel();
        co_return 3;
    });
    REQUIRE(v == 3);
}

TEST_TASK("a with_group that owes a value and was cancelled throws the reason") {
    std::error_code code;
    try {
        const int v = co_await with_group([](task_group& g) -> task<int> {
            g.cancel(std::make_error_code(std::errc::host_unreachable));
            co_await this_task::yield();
            co_return 3;
        });
        REQUIRE(v == 0);
    } catch (const std::system_error& e) {
        code = e.code();
    }
    REQUIRE(code == std::errc::host_unreachable);
}

TEST_TASK("a child can cancel the group") {
    std::string log;
    co_await with_group([&](task_group& g) -> task<> {
        g.go(
            [](task_group& group) -> task<> {
                co_await sleep_for(1ms);
                group.cancel();
            },
            std::ref(g));
        mourner body(log, 'b');
        co_await forever();
    });
    REQUIRE(log == "b");
}

TEST_TASK("a cancel from outside unwinds tasks, body and the caller") {
    std::string log;
    auto h = spawn([&log]() -> task<> {
        mourner caller(log, 'c');
        co_await with_group([&log](task_group& g) -> task<> {
            mourner body(log, 'b');
            g.go(forever_noted, std::ref(log), 's');
            co_await forever();
        });
        log += '!';
    });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(r.error() == errc::cancelled);
    REQUIRE(log == "sbc");
}

TEST_TASK("a cancel from outside while with_group waits for its tasks cancels and joins them") {
    std::string log;
    auto h = spawn([&log]() -> task<> {
        mourner caller(log, 'c');
        co_await with_group([&log](task_group& g) -> task<> {
            g.go(forever_noted, std::ref(log), 's');
            co_return; // the body is done: the caller waits for the task
        });
        log += 'v'; // what has returned is not taken back
        co_await this_task::yield();
        log += '!';
    });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(r.error() == errc::cancelled);
    REQUIRE(log.front() == 's');
    REQUIRE(log.back() == 'c');
    REQUIRE(log.find('!') == std::string::npos);
}

TEST_TASK("a cancel from outside that has ended the tasks before the body ends unwinds the caller too") {
    std::string log;
    cancel_source outside;
    auto r = co_await with_token(outside.token(), [&]() -> task<> {
        mourner caller(log, 'c');
        co_await with_group([&](task_group& g) -> task<> {
            g.go(forever_noted, std::ref(log), 's');
            co_await this_task::yield();
            outside.cancel();
            co_await shield([&]() -> task<> {
                while (g.size() != 0) co_await this_task::yield();
            });
        });
        log += '!'; // as if all had been done
    });
    REQUIRE(log == "sc");
    REQUIRE(!r);
}

TEST_TASK("nested with_groups: the failure of the innermost passes through all") {
    std::string log;
    std::string what;
    try {
        co_await with_group([&](task_group& outer) -> task<> {
            outer.go(forever_noted, std::ref(log), 'o');
            co_await with_group([&](task_group& inner) -> task<> {
                inner.go(forever_noted, std::ref(log), 'i');
                inner.go(throws_later, "innermost");
                co_await forever();
            });
            log += '!';
        });
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    REQUIRE(what == "innermost");
    REQUIRE(log == "io");
}

TEST_TASK("a group's failure that is caught does not reach the group outside") {
    int n = 0;
    co_await with_group([&](task_group& outer) -> task<> {
        outer.go(add_one, std::ref(n));
        try {
            co_await with_group([](task_group& inner) -> task<> {
                inner.go(throws, "inner");
                co_await forever();
            });
        } catch (const std::runtime_error&) {
            ++n;
        }
        co_await sleep_for(2ms);
    });
    REQUIRE(n == 2);
}

TEST_TASK("after on_failure the body of with_group goes on") {
    int failures = 0;
    int n = 0;
    co_await with_group([&](task_group& g) -> task<> {
        g.on_failure([&failures](std::exception_ptr) { ++failures; });
        g.go(throws, "session");
        g.go(add_one, std::ref(n));
        co_await sleep_for(2ms);
        ++n;
    });
    REQUIRE(failures == 1);
    REQUIRE(n == 2);
}

TEST_TASK("start in a body waits for room, and a cancel there starts nothing") {
    std::string log;
    auto h = spawn([&log]() -> task<> {
        co_await with_group([&log](task_group& g) -> task<> {
            g.limit(1);
            co_await g.start(forever_noted, std::ref(log), 'a');
            co_await g.start(forever_noted, std::ref(log), 'b');
        });
    });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(r.error() == errc::cancelled);
    REQUIRE(log == "a");
}

TEST_TASK("with_group does not wait for what its body spawned and handed out") {
    // "When the body returns it waits for g's tasks": a spawned task is joined by its handle.
    join_handle<> h;
    channel<void> never; // without a timer: who waits for it for ever is told to be asleep
    auto body = [&h, &never](task_group&) -> task<> {
        h = spawn([&never]() -> task<> { static_cast<void>(co_await never.recv()); });
        co_return;
    };
    co_await with_group(std::ref(body));
    CHECK(!h.done());
    h.cancel();
    auto end = co_await h.join();
    REQUIRE(end.error() == errc::cancelled);
}
