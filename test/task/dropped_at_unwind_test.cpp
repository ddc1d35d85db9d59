// The ways to say goodbye: or_cancelled, shield, defer, done() of one's own token.

#include <support.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::mourner;
using test_support::until_parked;

namespace {

task<> forever() { co_await sleep_for(std::chrono::hours::max()); }

/// Starts `body(log)`, cancels it once it is parked, joins it.
template <class F>
task<std::string> cancelled_while_parked(F body) {
    std::string log;
    auto h = spawn(body, std::ref(log));
    co_await until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    log += r ? 'v' : 'c';
    co_return log;
}

} // namespace

TEST_TASK("or_cancelled gives the outcome when there is no cancel") {
    channel<int> ch(1);
    REQUIRE(ch.try_send(4));
    std::optional<result<int>> r = co_await or_cancelled(ch.recv());
    REQUIRE(r.has_value());
    REQUIRE(test_support::holds(*r, 4));
    auto s = co_await or_cancelled(sleep_for(1ms));
    REQUIRE(s.has_value());
}

TEST_TASK("or_cancelled gives nothing instead of unwinding, and the next operation unwinds") {
    auto log = co_await cancelled_while_parked([](std::string& l) -> task<> {
        channel<int> never = nil;
        auto r = co_await or_cancelled(never.recv());
        l += r ? '!' : '1';
        co_await this_task::yield();
        l += '!';
    });
    REQUIRE(log == "1c");
}

TEST_TASK("or_cancelled answers once per cancel, not twice") {
    auto log = co_await cancelled_while_parked([](std::string& l) -> task<> {
        channel<int> never = nil;
        auto r = co_await or_cancelled(never.recv());
        l += r ? '!' : '1';
        auto s = co_await or_cancelled(never.recv());
        l += s ? '!' : '2';
    });
    REQUIRE(log == "1c");
}

TEST_TASK_STAGED("or_cancelled does not take what is ready once the task is cancelled") {
    channel<int> ch(1);
    REQUIRE(ch.try_send(4));
    auto h = spawn([ch]() -> task<bool> {
        auto r = co_await or_cancelled(ch.recv());
        co_return r.has_value();
    });
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(test_support::holds(r, false));
    REQUIRE(ch.size() == 1);
}

TEST_TASK("an answer to the cancel of a region does not use up that of the next cancel") {
    // Two timeouts one after another: each is a cancel of its own.
    for (int i = 0; i < 2; ++i) {
        auto r = co_await with_timeout(1ms, []() -> task<int> {
            auto cut = co_await or_cancelled(sleep_for(1h));
            co_return cut ? 1 : 2;
        });
        REQUIRE(test_support::holds(r, 2));
    }
}

TEST_TASK("an answer to the cancel of a region does not use up that of the task") {
    bool answered = false;
    auto h = spawn([&answered]() -> task<int> {
        auto r = co_await with_timeout(1ms, []() -> task<int> {
            auto cut = co_await or_cancelled(sleep_for(1h));
            co_return cut ? 1 : 2;
        });
        CHECK(test_support::holds(r, 2));
        answered = true;
        auto cut = co_await or_cancelled(sleep_for(1h));
        co_return cut ? 3 : 4;
    });
    while (!answered) co_await sleep_for(1ms);
    co_await until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(test_support::holds(r, 4));
}

TEST_TASK("a cancel inside a shield is answered though the one outside was answered before") {
    auto log = co_await cancelled_while_parked([](std::string& l) -> task<> {
        auto cut = co_await or_cancelled(sleep_for(1h));
        l += cut ? '!' : '1';
        const int n = co_await shield([]() -> task<int> {
            auto r = co_await with_timeout(1ms, []() -> task<int> {
                auto again = co_await or_cancelled(sleep_for(1h));
                co_return again ? 1 : 2;
            });
            co_return r.value_or(3);
        });
        l += static_cast<char>('0' + n);
        co_await this_task::yield();
        l += '!';
    });
    REQUIRE(log == "12c");
}

TEST_TASK("a shield runs to its end though the task is cancelled, and then the task unwinds") {
    auto log = co_await cancelled_while_parked([](std::string& l) -> task<> {
        const cancel_token outside = this_task::token();
        const int n = co_await shield([&]() -> task<int> {
            do co_await sleep_for(1ms);
            while (!outside.cancelled());
            l += 's';
            CHECK(!this_task::token().cancelled());
            co_await sleep_for(1ms);
            co_return 1;
        });
        l += static_cast<char>('0' + n);
        co_await this_task::yield();
        l += '!';
    });
    REQUIRE(log == "s1c");
}

TEST_TASK("a shield entered by a cancelled task runs, since entering it is no operation") {
    std::string log;
    auto h = spawn([&log]() -> task<> {
        co_await shield([&log]() -> task<> {
            co_await this_task::yield();
            log += 's';
        });
        log += 'n';
        co_await this_task::yield();
        log += '!';
    });
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(log == "sn");
}

TEST_TASK("a shield gives value, reference and exception") {
    int x = 1;
    int& r = co_await shield([&x]() -> task<int&> { co_return x; });
    REQUIRE(&r == &x);
    auto p = co_await shield([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(2); });
    REQUIRE(*p == 2);
    const int n = co_await shield([](int k) { return k; }, 3);
    REQUIRE(n == 3);
    bool caught = false;
    try {
        co_await shield([]() -> task<> {
            throw std::runtime_error("shielded");
            co_return;
        });
    } catch (const std::runtime_error&) {
        caught = true;
    }
    REQUIRE(caught);
}

TEST_TASK("a timeout inside a shield fires") {
    auto log = co_await cancelled_while_parked([](std::string& l) -> task<> {
        co_await shield([&l]() -> task<> {
            auto r = co_await with_timeout(1ms, forever);
            l += r.error() == errc::timed_out ? 't' : '!';
        });
    });
    REQUIRE(log == "tv");
}

TEST_TASK("what is spawned inside a shield is not cancelled from outside either") {
    auto log = co_await cancelled_while_parked([](std::string& l) -> task<> {
        const cancel_token outside = this_task::token();
        co_await shield([&]() -> task<> {
            auto h = spawn([&]() -> task<> {
                do co_await sleep_for(1ms);
                while (!outside.cancelled());
                l += 's';
            });
            auto r = co_await h.join();
            l += r ? 'j' : '!';
        });
    });
    REQUIRE(log == "sjv");
}

TEST_TASK("the children of a shield are not left behind when it ends and its task unwinds") {
    auto log = co_await cancelled_while_parked([](std::string& l) -> task<> {
        mourner m(l, 'p');
        join_handle<> h;
        const cancel_token outside = this_task::token();
        co_await shield([&]() -> task<> {
            h = spawn([&l]() -> task<> {
                mourner c(l, 'k');
                co_await sleep_for(5ms);
            });
            do co_await sleep_for(1ms);
            while (!outside.cancelled()); // else the body might end, and leave the child behind
        });
        co_await this_task::yield(); // unwinds: the shield's child has to end first
        l += '!';
    });
    REQUIRE(log == "kpc");
}

TEST_TASK("defer runs on return, on an exception and on unwinding") {
    std::string log;
    auto body = [&log](int how) -> task<> {
        defer d([&log] { log += this_task::unwinding() ? 'u' : 'd'; });
        co_await this_task::yield();
        if (how == 1) throw 1;
        if (how == 2) co_await forever();
    };
    co_await body(0);
    try {
        co_await body(1);
    } catch (int) {
        log += 'x';
    }
    auto h = spawn(body, 2);
    co_await until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(log == "ddxu");
}

TEST_TASK("an await on done of the task's own token commits, and the next operation unwinds") {
    auto log = co_await cancelled_while_parked([](std::string& l) -> task<> {
        const std::error_code why = co_await this_task::token().done();
        l += why == errc::cancelled ? '1' : '!';
        co_await this_task::yield();
        l += '!';
    });
    REQUIRE(log == "1c");
}

TEST_TASK("done of the task's own token commits once and not twice") {
    auto log = co_await cancelled_while_parked([](std::string& l) -> task<> {
        const cancel_token mine = this_task::token();
        auto a = co_await mine.done();
        l += a ? '1' : '!';
        auto b = co_await mine.done();
        l += b ? '2' : '!';
    });
    REQUIRE(log == "1c");
}

TEST_TASK("done of an ancestor's token commits once and not twice") {
    std::string log;
    cancel_source src;
    auto r = co_await with_token(src.token(), [&]() -> task<> {
        const cancel_token region = this_task::token();
        auto h = spawn([&log, region]() -> task<> {
            auto a = co_await region.done();
            log += a ? '1' : '!';
            auto b = co_await region.done();
            log += b ? '2' : '!';
        });
        co_await until_parked(h);
        src.cancel();
        co_await this_task::yield();
    });
    REQUIRE(r.error() == errc::cancelled);
    REQUIRE(log == "1");
}

TEST_TASK("after done of an ancestor's token has committed, or_cancelled unwinds") {
    std::string log;
    cancel_source src;
    auto r = co_await with_token(src.token(), [&]() -> task<> {
        const cancel_token region = this_task::token();
        auto h = spawn([&log, region]() -> task<> {
            auto a = co_await region.done();
            log += a ? '1' : '!';
            auto b = co_await or_cancelled(sleep_for(1h));
            log += b ? '!' : '2';
        });
        co_await until_parked(h);
        src.cancel();
        co_await this_task::yield();
    });
    REQUIRE(r.error() == errc::cancelled);
    REQUIRE(log == "1");
}

TEST_TASK("done of the task's own token as an arm of select commits") {
    auto log = co_await cancelled_while_parked([](std::string& l) -> task<> {
        channel<int> never = nil;
        auto s = co_await select(never.recv(), this_task::token().done(), after(1h));
        l += static_cast<char>('0' + s.index());
        l += get<1>(s) == errc::cancelled ? 'r' : '!';
        auto t = co_await select(never.recv(), this_task::token().done());
        l += static_cast<char>('0' + t.index());
    });
    REQUIRE(log == "1rc");
}

TEST_TASK("a task cancelled before it asks for done is told at once") {
    std::string log;
    auto h = spawn([&log]() -> task<> {
        auto why = co_await this_task::token().done();
        log += why == errc::cancelled ? 'd' : '!';
        co_await this_task::yield();
        log += '!';
    });
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(log == "d");
}

TEST_TASK("done of somebody else's token is no answer to the task's own cancel") {
    cancel_source other;
    auto h = spawn(
        [](cancel_token t) -> task<> {
            auto why = co_await t.done();
            FAIL_CHECK("reached");
            static_cast<void>(why);
        },
        other.token());
    co_await until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(r.error() == errc::cancelled);
}
