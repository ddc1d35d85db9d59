#include <support.hpp>

#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <levada/channel/channel.hpp>
#include <levada/sync/timer.hpp>

using namespace levada;
using namespace std::chrono_literals;

TEST_TASK("yield lets every other ready task run first or last, but all of them run") {
    int turns[2] = {0, 0};
    bool stop = false;
    auto runner = [&](int i) -> task<> {
        while (!stop) {
            ++turns[i];
            co_await this_task::yield();
        }
    };
    auto a = spawn(runner, 0);
    auto b = spawn(runner, 1);
    while (turns[0] < 10 || turns[1] < 10) co_await this_task::yield();
    stop = true;
    auto ra = co_await a.join();
    auto rb = co_await b.join();
    REQUIRE(ra.has_value());
    REQUIRE(rb.has_value());
}

TEST_TASK("a task that never waits lets others run now and then") {
    // Ready operations complete at once, but a budget makes a busy task yield.
    bool ran = false;
    go([&ran]() -> task<> {
        ran = true;
        co_return;
    });
    channel<int> ch(1);
    for (int i = 0; i < 100'000 && !ran; ++i) {
        auto sent = co_await ch.send(i);
        REQUIRE(sent);
        auto got = co_await ch.recv();
        REQUIRE(test_support::holds(got, i));
    }
    REQUIRE(ran);
}

TEST_TASK("a task's name is its own") {
    REQUIRE(this_task::name().empty());
    this_task::name("main");
    auto h = spawn([]() -> task<std::string> {
        auto before = this_task::name();
        this_task::name("child");
        co_await this_task::yield();
        co_return before + "/" + this_task::name();
    });
    auto r = co_await h.join();
    REQUIRE(*r == "/child");
    REQUIRE(this_task::name() == "main");
}

TEST_TASK("a task's token is cancelled with it and outlives it") {
    cancel_token token;
    auto h = spawn([&token]() -> task<> {
        token = this_task::token();
        co_await sleep_for(1h);
    });
    co_await test_support::until_parked(h);
    REQUIRE(!token.cancelled());
    h.cancel(std::make_error_code(std::errc::host_unreachable));
    REQUIRE(token.cancelled());
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(token.reason() == std::errc::host_unreachable);
}

TEST_CASE("this_task outside of a task terminates and says so") {
    auto d = test_support::run_to_death([] { static_cast<void>(this_task::token()); });
    REQUIRE(d.aborted);
    CHECK(d.says("this_task::token was used outside of a task"));
    REQUIRE(!this_task::unwinding());
}

TEST_TASK("or_throw gives the value or throws the code") {
    channel<int> ch(1);
    co_await or_throw(ch.send(4));
    const int n = co_await or_throw(ch.recv());
    REQUIRE(n == 4);
    ch.close(std::make_error_code(std::errc::host_unreachable));
    std::error_code code;
    try {
        const int never = co_await or_throw(ch.recv());
        REQUIRE(never == 0);
    } catch (const std::system_error& e) {
        code = e.code();
    }
    REQUIRE(code == std::errc::host_unreachable);
    code.clear();
    try {
        co_await or_throw(ch.send(1));
    } catch (const std::system_error& e) {
        code = e.code();
    }
    REQUIRE(code == errc::closed);
}

TEST_TASK("or_throw takes a task of a result, and operations under a timeout") {
    const int n = co_await or_throw([]() -> task<result<int>> { co_return 2; }());
    REQUIRE(n == 2);
    std::error_code code;
    try {
        co_await or_throw([]() -> task<result<void>> { co_return fail(errc::full); }());
    } catch (const std::system_error& e) {
        code = e.code();
    }
    REQUIRE(code == errc::full);
    auto h = spawn([]() -> task<int> { co_return 3; });
    const int joined = co_await or_throw(h.join());
    REQUIRE(joined == 3);
}
