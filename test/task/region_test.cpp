// with_timeout, with_deadline, with_token: over calls and over operations.

#include <support.hpp>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::mourner;

namespace {

task<> forever() { co_await sleep_for(std::chrono::hours::max()); }
task<int> answer_after(duration d) {
    co_await sleep_for(d);
    co_return 42;
}
const std::error_code unreachable = std::make_error_code(std::errc::host_unreachable);

} // namespace

TEST_TASK("a call that ends in time gives its value") {
    result<int> r = co_await with_timeout(1h, answer_after, 1ms);
    REQUIRE(test_support::holds(r, 42));
    auto p = co_await with_timeout(
        1h, [](std::unique_ptr<int> q) -> task<std::unique_ptr<int>> { co_return std::move(q); },
        std::make_unique<int>(4));
    REQUIRE(**p == 4);
    result<void> v = co_await with_timeout(1h, []() -> task<> { co_return; });
    REQUIRE(v.has_value());
    result<int> plain = co_await with_timeout(1h, [](int n) { return n; }, 7);
    REQUIRE(test_support::holds(plain, 7));
    int x = 0;
    result<int&> ref = co_await with_timeout(1h, [&x]() -> task<int&> { co_return x; });
    REQUIRE(&*ref == &x);
}

TEST_TASK("a call of a result gives that result and not a nest") {
    result<int> r = co_await with_timeout(1h, []() -> task<result<int>> { co_return fail(errc::closed); });
    REQUIRE(r.error() == errc::closed);
    cancel_source src;
    result<int> t = co_await with_token(src.token(), []() -> task<result<int>> { co_return 1; });
    REQUIRE(test_support::holds(t, 1));
}

TEST_TASK("a call that takes too long is unwound, and the caller goes on") {
    std::string log;
    const time_point begin = now();
    auto r = co_await with_timeout(5ms, [&log]() -> task<int> {
        mourner m(log, 'b');
        co_await forever();
        co_return 1;
    });
    REQUIRE(r.error() == errc::timed_out);
    REQUIRE(log == "b");
    REQUIRE(now() - begin >= 5ms);
    REQUIRE(!this_task::token().cancelled());
    REQUIRE(!this_task::unwinding());
    co_await sleep_for(1ms);
}

TEST_TASK("an exception passes through a region") {
    std::string what;
    try {
        auto r = co_await with_timeout(1h, []() -> task<> {
            throw std::runtime_error("through");
            co_return;
        });
        static_cast<void>(r);
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    REQUIRE(what == "through");
    what.clear();
    try {
        auto r = co_await with_timeout(1h, []() -> int { throw std::runtime_error("plain"); });
        static_cast<void>(r);
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    REQUIRE(what == "plain");
}

TEST_TASK("a deadline that has passed lets the call run to its first operation") {
    int steps = 0;
    auto body = [&steps]() -> task<> {
        ++steps;
        co_await this_task::yield();
        ++steps;
    };
    auto r = co_await with_deadline(now() - 1ms, body);
    REQUIRE(r.error() == errc::timed_out);
    auto s = co_await with_timeout(0ms, body);
    REQUIRE(s.error() == errc::timed_out);
    REQUIRE(steps == 2);
}

TEST_TASK("a call that returns all the same gives its value though it ran out of time") {
    auto r = co_await with_timeout(0ms, []() -> task<int> { co_return 3; });
    REQUIRE(test_support::holds(r, 3));
    auto s = co_await with_timeout(1ms, []() -> task<int> {
        auto cut = co_await or_cancelled(sleep_for(1h));
        co_return cut ? 1 : 2;
    });
    REQUIRE(test_support::holds(s, 2));
}

TEST_TASK("nested timeouts: the inner one reports where it is the nearer") {
    auto r = co_await with_timeout(1h, []() -> task<int> {
        auto inner = co_await with_timeout(1ms, forever);
        co_return inner.error() == errc::timed_out ? 1 : 2;
    });
    REQUIRE(test_support::holds(r, 1));
}

TEST_TASK("nested timeouts: the outer one unwinds through the inner") {
    bool inner_returned = false;
    auto r = co_await with_timeout(1ms, [&]() -> task<> {
        auto inner = co_await with_timeout(1h, forever);
        inner_returned = true;
        static_cast<void>(inner);
    });
    REQUIRE(r.error() == errc::timed_out);
    REQUIRE(!inner_returned);
}

TEST_TASK("nested timeouts that fire at the same time: the outer wins") {
    bool in_time = false; // both began before; else once more, with more time
    for (duration ahead = 1ms; !in_time; ahead *= 2) {
        bool inner_returned = false;
        const time_point t = now() + ahead;
        auto r = co_await with_deadline(t, [&]() -> task<> {
            auto inner = co_await with_deadline(t, [&]() -> task<> {
                in_time = now() < t;
                co_await forever();
            });
            inner_returned = true;
            static_cast<void>(inner);
        });
        REQUIRE(r.error() == errc::timed_out);
        if (in_time) REQUIRE(!inner_returned);
    }
}

TEST_TASK("the outer timeout wins when it fires while the inner body still unwinds") {
    bool inner_returned = false;
    auto r = co_await with_timeout(2ms, [&]() -> task<> {
        auto inner = co_await with_timeout(1ms, []() -> task<> {
            auto h = spawn([]() -> task<> { co_await shield(answer_after, 5ms); });
            co_await forever();
        });
        inner_returned = true;
        static_cast<void>(inner);
    });
    REQUIRE(r.error() == errc::timed_out);
    REQUIRE(!inner_returned);
}

TEST_TASK("an outer cancel wins over a timeout that has answered and unwinds still") {
    // The inner region's own cancel was answered by or_cancelled; the outer one is another cancel.
    std::string log;
    auto r = co_await with_timeout(2ms, [&log]() -> task<> {
        auto inner = co_await with_timeout(1ms, []() -> task<> {
            auto h = spawn([]() -> task<> { co_await shield(answer_after, 5ms); });
            auto cut = co_await or_cancelled(sleep_for(1h));
            static_cast<void>(cut);
            co_await forever();
        });
        log += '!';
        static_cast<void>(inner);
    });
    REQUIRE(r.error() == errc::timed_out);
    REQUIRE(log.empty());
}

TEST_TASK("a cancel of the task unwinds through a timeout, which does not report it") {
    std::string log;
    auto h = spawn([&log]() -> task<> {
        mourner m(log, 'm');
        auto r = co_await with_timeout(1h, forever);
        log += '!';
        static_cast<void>(r);
    });
    co_await test_support::until_parked(h);
    h.cancel(unreachable);
    auto r = co_await h.join();
    REQUIRE(r.error() == std::errc::host_unreachable);
    REQUIRE(log == "m");
}

TEST_TASK("with_token reports the reason of its own token") {
    cancel_source src;
    auto h = spawn(
        [](cancel_token t) -> task<result<int>> {
            auto r = co_await with_token(t, answer_after, 1h);
            co_return r;
        },
        src.token());
    co_await test_support::until_parked(h);
    src.cancel(unreachable);
    auto r = co_await h.join();
    REQUIRE(r.error() == std::errc::host_unreachable);
}

TEST_TASK("with_token under a cancelled token runs the call to its first operation") {
    cancel_source src;
    src.cancel(unreachable);
    int steps = 0;
    auto r = co_await with_token(src.token(), [&steps]() -> task<> {
        ++steps;
        co_await this_task::yield();
        ++steps;
    });
    REQUIRE(r.error() == std::errc::host_unreachable);
    REQUIRE(steps == 1);
}

TEST_TASK("with_token under a token with a deadline reports that it timed out") {
    cancel_source src(1ms);
    auto r = co_await with_token(src.token(), forever);
    REQUIRE(r.error() == errc::timed_out);
}

TEST_TASK("the token inside a region is the narrower one, with its deadline") {
    const time_point t = now() + 1h;
    const cancel_token outer = this_task::token();
    auto r = co_await with_deadline(t, [&]() -> task<> {
        CHECK(this_task::token().deadline() == t);
        CHECK(!(this_task::token() == outer));
        auto s =
            co_await with_timeout(24h, []() -> task<time_point> { co_return this_task::token().deadline(); });
        CHECK(test_support::holds(s, t)); // the nearer of both
    });
    REQUIRE(r);
    REQUIRE(this_task::token() == outer);
    REQUIRE(outer.deadline() == time_point::max());
}

TEST_TASK("what is spawned inside a region is under its token") {
    std::string log;
    auto r = co_await with_timeout(1ms, [&log]() -> task<> {
        auto h = spawn([&log]() -> task<> {
            mourner m(log, 'c');
            co_await forever();
        });
        auto end = co_await h.join();
        static_cast<void>(end);
    });
    REQUIRE(r.error() == errc::timed_out);
    REQUIRE(log == "c");
}

TEST_TASK("what was detached inside a region is not awaited but stays under its token") {
    std::string log;
    cancel_source src;
    auto r = co_await with_token(src.token(), [&log]() -> task<> {
        auto h = spawn([&log]() -> task<> {
            mourner m(log, 'd');
            co_await forever();
        });
        co_await test_support::until_parked(h);
        h.detach();
    });
    REQUIRE(r);
    REQUIRE(log.empty());
    src.cancel();
    while (log.empty()) co_await this_task::yield(); // its loop has to come to it
    REQUIRE(log == "d");
}

TEST_TASK("an operation under a timeout gives its outcome or timed_out, and withdraws") {
    channel<int> ch(1);
    auto r = co_await with_timeout(1ms, ch.recv());
    REQUIRE(r.error() == errc::timed_out);
    REQUIRE(ch.try_send(5));
    auto s = co_await with_timeout(1ms, ch.recv());
    REQUIRE(test_support::holds(s, 5));
    auto w = co_await with_timeout(1ms, sleep_for(1h));
    REQUIRE(w.error() == errc::timed_out);
    auto v = co_await with_timeout(1h, sleep_for(1ms));
    REQUIRE(v.has_value());
    ch.close();
    auto c = co_await with_timeout(1ms, ch.recv());
    REQUIRE(c.error() == errc::closed);
}

TEST_TASK("an operation that is ready is taken even after the deadline") {
    channel<int> ch(1);
    REQUIRE(ch.try_send(5));
    auto r = co_await with_deadline(now() - 1h, ch.recv());
    REQUIRE(test_support::holds(r, 5));
    auto s = co_await with_timeout(0ms, ch.recv());
    REQUIRE(s.error() == errc::timed_out);
}

TEST_TASK("an operation under a cancelled token is not done even if it is ready") {
    channel<int> ch(1);
    REQUIRE(ch.try_send(5));
    cancel_source src;
    src.cancel(unreachable);
    auto r = co_await with_token(src.token(), ch.recv());
    REQUIRE(r.error() == std::errc::host_unreachable);
    REQUIRE(ch.size() == 1);
}

TEST_TASK("a send under a timeout that fires leaves its value where it was") {
    channel<std::unique_ptr<int>> ch;
    auto p = std::make_unique<int>(3);
    auto r = co_await with_timeout(1ms, ch.send(std::move(p)));
    REQUIRE(r.error() == errc::timed_out);
    REQUIRE(*p == 3);
}

TEST_TASK("an outer cancel unwinds through a bounded operation") {
    auto h = spawn([]() -> task<> {
        channel<int> ch;
        auto r = co_await with_timeout(1h, ch.recv());
        FAIL_CHECK("reached");
        static_cast<void>(r);
    });
    co_await test_support::until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(r.error() == errc::cancelled);
}

TEST_TASK("a bounded operation under the task's own token unwinds") {
    auto h = spawn([]() -> task<> {
        channel<int> ch;
        auto r = co_await with_token(this_task::token(), ch.recv());
        FAIL_CHECK("reached");
        static_cast<void>(r);
    });
    co_await test_support::until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(r.error() == errc::cancelled);
}

TEST_TASK("a select under a timeout gives its result or timed_out, and withdraws every arm") {
    channel<int> a(1), b(1);
    auto none = co_await with_timeout(1ms, select(a.recv(), b.recv()));
    REQUIRE(none.error() == errc::timed_out);
    REQUIRE(a.try_send(1));
    auto first =
        co_await with_timeout(0ms, select(a.recv(), b.recv())); // ready: taken after the deadline too
    REQUIRE(first.has_value());
    REQUIRE(test_support::holds(first->get<0>(), 1));
    auto feeder = spawn(
        [](send_channel<int> to) -> task<> {
            co_await sleep_for(1ms);
            auto sent = co_await to.send(2);
            CHECK(sent);
        },
        b);
    auto second = co_await with_timeout(1h, select(a.recv(), b.recv()));
    REQUIRE(second.has_value());
    REQUIRE(second->index() == 1);
    auto fed = co_await feeder.join();
    REQUIRE(fed);
    REQUIRE(a.try_send(3));
    REQUIRE(a.size() == 1); // nobody waits there any more
}

TEST_TASK("a select under a cancelled token does nothing though its arms are ready") {
    channel<int> a(1), b(1);
    REQUIRE(a.try_send(1));
    REQUIRE(b.try_send(1));
    cancel_source src;
    src.cancel(unreachable);
    auto r = co_await with_token(src.token(), select(a.recv(), b.recv()));
    REQUIRE(r.error() == std::errc::host_unreachable);
    REQUIRE(a.size() + b.size() == 2);
}

TEST_TASK("or_cancelled around a select is empty when its task was cancelled, and no arm was taken") {
    channel<int> a(1), b(1);
    auto h = spawn(
        [](channel<int> x, channel<int> y) -> task<bool> {
            auto s = co_await or_cancelled(select(x.recv(), y.recv()));
            co_return s.has_value();
        },
        a, b);
    co_await test_support::until_parked(h);
    h.cancel();
    auto took = co_await h.join();
    REQUIRE(test_support::holds(took, false));
    REQUIRE(a.try_send(1));
    REQUIRE(a.size() == 1);
}

TEST_TASK("ready arms of a select under a timeout are taken alike") {
    channel<int> a(1), b(1);
    int first = 0;
    constexpr int n = 10'000;
    for (int i = 0; i < n; ++i) {
        static_cast<void>(a.try_send(1));
        static_cast<void>(b.try_send(1));
        auto s = co_await with_timeout(1h, select(a.recv(), b.recv()));
        REQUIRE(s.has_value());
        if (s->index() == 0) ++first;
    }
    REQUIRE(std::abs(first - n / 2) < 245); // 4.9 standard deviations of 50
}

TEST_TASK("a select as an arm of a select gives its own result") {
    channel<int> a(1), b(1), c(1);
    REQUIRE(b.try_send(7));
    auto s = co_await select(c.recv(), select(a.recv(), b.recv()));
    REQUIRE(s.index() == 1);
    REQUIRE(s.get<1>().index() == 1);
    REQUIRE(test_support::holds(s.get<1>().get<1>(), 7));
}
