// Go's context tests (src/context/context_test.go and afterfunc_test.go), as far as they have a meaning here,
// named after the hazard. A context is a cancel_token; its cause is the token's reason; its values are
// task_locals. Those that need a timer not to fire yet run on a virtual loop only.

#include <support.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <levada/cancel/callback.hpp>
#include <levada/cancel/source.hpp>
#include <levada/cancel/stop_token.hpp>
#include <levada/detail/cancel/token_access.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/shield.hpp>
#include <levada/task/task_local.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>
#include <levada/task/with_token.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

const std::error_code because = std::make_error_code(std::errc::io_error);
const std::error_code parents = std::make_error_code(std::errc::host_unreachable);
const std::error_code childs = std::make_error_code(std::errc::file_too_large);
const std::error_code too_late = std::make_error_code(std::errc::stream_timeout);

bool nothing_hangs_on(const cancel_token& t) {
    return levada::detail::token_access::node(t)->children().empty();
}

/// Waits for the token, and says whether its reason is this one.
task<bool> ends_with(cancel_token t, std::error_code why) {
    const auto reason = co_await t.done();
    co_return reason == why&& t.reason() == why&& t.cancelled();
}

} // namespace

// TestBackground, TestTODO
TEST_TASK("a token that nobody made is never cancelled, has no deadline, and never wins") {
    const cancel_token never;
    CHECK_FALSE(never.cancelled());
    CHECK_FALSE(static_cast<bool>(never.reason()));
    CHECK(never.deadline() == time_point::max());
    auto r = co_await with_timeout(1ms, never.done());
    CHECK(r.error() == errc::timed_out);
}

// TestWithCancel
TEST_TASK("a token is not done before its source cancels, and stays done for the first reason") {
    cancel_source s;
    const cancel_token t = s.token();
    CHECK_FALSE(t.cancelled());
    CHECK(s.cancel());
    for (int i = 0; i < 2; ++i) {
        const bool same = co_await ends_with(t, make_error_code(errc::cancelled));
        CHECK(same);
        CHECK_FALSE(s.cancel(because));
    }
}

// TestParentFinishesChild
TEST_TASK("a parent's cancel reaches every child, whatever hangs between, and those that come later") {
    // parent -> child, -> stop token's -> its child, -> timer's
    cancel_source parent;
    cancel_source child(parent.token());
    std::stop_source outside;
    const cancel_on_stop bridged(outside.get_token(), parent.token());
    cancel_source below(bridged.token());
    cancel_source timed(10h, parent.token());
    for (const cancel_token& t :
         {parent.token(), child.token(), bridged.token(), below.token(), timed.token()})
        CHECK_FALSE(t.cancelled());
    CHECK_FALSE(nothing_hangs_on(parent.token()));
    parent.cancel(because);
    for (const cancel_token& t :
         {parent.token(), child.token(), bridged.token(), below.token(), timed.token()}) {
        const bool same = co_await ends_with(t, because);
        CHECK(same);
    }
    const cancel_source late(parent.token());
    CHECK(late.token().reason() == because);
}

// TestChildFinishesFirst
TEST_TASK("a child that is cancelled first leaves its parent as it was, and nothing behind in it") {
    cancel_source top;
    std::stop_source outside;
    const cancel_on_stop custom(outside.get_token());
    for (const cancel_token& parent : {cancel_token(), top.token(), custom.token()}) {
        {
            cancel_source child(parent);
            CHECK_FALSE(child.token().cancelled());
            child.cancel();
            const bool same = co_await ends_with(child.token(), make_error_code(errc::cancelled));
            CHECK(same);
            CHECK_FALSE(parent.cancelled());
        }
        if (levada::detail::token_access::node(parent)) CHECK(nothing_hangs_on(parent));
    }
}

// TestDeadline, TestTimeout
LEVADA_TEST_CASE(
    "of a deadline and its parent's the earlier one counts, and one that has passed cancels at once") {
    {
        cancel_source s(50ms);
        CHECK(s.token().deadline() > now());
        const bool same = co_await ends_with(s.token(), make_error_code(errc::timed_out));
        CHECK(same);
    }
    {
        cancel_source outer(50ms);
        std::stop_source outside;
        const cancel_on_stop between(outside.get_token(), outer.token());
        CHECK(between.token().deadline() == outer.token().deadline());
        cancel_source inner(10h, between.token());
        CHECK(inner.token().deadline() == outer.token().deadline());
        const bool same = co_await ends_with(inner.token(), make_error_code(errc::timed_out));
        CHECK(same);
    }
    cancel_source passed(now() - 1s);
    CHECK(passed.token().reason() == errc::timed_out);
    cancel_source none(duration::zero());
    CHECK(none.token().reason() == errc::timed_out);
}

// TestCanceledTimeout
TEST_TASK("a timeout that is cancelled before its time says cancelled, and its timer goes with it") {
    cancel_source outer(10h);
    cancel_source inner(20h, outer.token());
    inner.cancel();
    const bool same = co_await ends_with(inner.token(), make_error_code(errc::cancelled));
    CHECK(same);
    CHECK_FALSE(outer.token().cancelled());
}

// TestValues
namespace {

constexpr task_local<std::string> name;
constexpr task_local<int> number;
constexpr task_local<std::string> other_name; // of the same type, but another key

task<std::string> seen() {
    const std::string* n = name.get();
    const int* k = number.get();
    const std::string* o = other_name.get();
    co_return (n ? *n : "-") + "," + (k ? std::to_string(*k) : "-") + "," + (o ? *o : "-");
}

} // namespace

TEST_TASK("a value is seen by the call, by what it starts, and by nobody else; the innermost one counts") {
    auto at_first = co_await seen();
    CHECK(at_first == "-,-,-");
    co_await name.with("a", []() -> task<> {
        auto one = co_await seen();
        CHECK(one == "a,-,-");
        co_await number.with(7, []() -> task<> {
            co_await name.with("b", []() -> task<> {
                auto hidden = co_await seen();
                CHECK(hidden == "b,7,-");
                co_await with_group([](task_group& g) -> task<> {
                    g.go([]() -> task<> {
                        auto inherited = co_await seen();
                        CHECK(inherited == "b,7,-");
                    });
                    co_return;
                });
                auto timed = co_await with_timeout(1h, seen);
                CHECK(test_support::holds(timed, "b,7,-"));
                auto shielded = co_await shield(seen);
                CHECK(shielded == "b,7,-");
            });
            auto again = co_await seen();
            CHECK(again == "a,7,-");
        });
    });
    auto after = co_await seen();
    CHECK(after == "-,-,-");
}

TEST_TASK("what was started under a value keeps it beyond the call, and what go starts has none") {
    join_handle<std::string> left;
    co_await name.with("kept", [&]() -> task<> {
        left = spawn([]() -> task<std::string> {
            co_await sleep_for(1ms);
            auto s = co_await seen();
            co_return s;
        });
        go([]() -> task<> {
            auto s = co_await seen();
            CHECK(s == "-,-,-");
        });
        co_return;
    });
    auto r = co_await left.join();
    CHECK(test_support::holds(r, "kept,-,-"));
}

TEST_TASK(
    "a cancel unwinds through a call with a value, an exception comes out of it, and the value dies once") {
    auto value = std::make_shared<int>(5);
    const std::weak_ptr<int> alive = value;
    static constexpr task_local<std::shared_ptr<int>> shared;
    auto r = co_await with_timeout(1ms, [&]() -> task<> {
        co_await shared.with(std::move(value), []() -> task<> {
            CHECK(**shared.get() == 5);
            co_await sleep_for(1h);
        });
    });
    CHECK(r.error() == errc::timed_out);
    CHECK(alive.expired());
    std::string what;
    try {
        co_await name.with("x", []() -> task<> {
            throw std::runtime_error("from within");
            co_return;
        });
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    CHECK(what == "from within");
    auto plain = co_await number.with(3, [] { return *number.get() + 1; });
    CHECK(plain == 4);
}

// TestSimultaneousCancels
TEST_CASE("tokens of one tree that are cancelled from several threads at once are all done") {
    for (int round = 0; round < 50; ++round) {
        cancel_source root;
        std::vector<cancel_source> all;
        for (int i = 0; i < 64; ++i)
            all.emplace_back(i == 0 ? root.token() : all[static_cast<std::size_t>((i - 1) / 2)].token());
        std::vector<cancel_token> tokens;
        for (const auto& s : all) tokens.push_back(s.token());
        std::vector<std::thread> threads;
        for (std::size_t t = 0; t < 3; ++t)
            threads.emplace_back([&all, t] {
                for (std::size_t i = t; i < all.size(); i += 3) all[all.size() - 1 - i].cancel();
            });
        root.cancel();
        for (auto& t : threads) t.join();
        for (const auto& t : tokens) REQUIRE(t.reason() == errc::cancelled);
    }
}

// TestInterlockedCancels
TEST_TASK(
    "a child that its parent's waiter cancels, while the parent's cancel reaches it, is cancelled once") {
    cancel_source parent;
    cancel_source child(parent.token());
    auto waiter = spawn([&]() -> task<> {
        co_await parent.token().done();
        child.cancel(childs);
    });
    co_await test_support::until_parked(waiter);
    parent.cancel(parents);
    const bool same = co_await ends_with(child.token(), parents); // it was there first
    CHECK(same);
    auto r = co_await waiter.join();
    CHECK(r);
}

// TestLayersCancel, TestLayersTimeout
namespace {

task<> layers(bool by_timeout) {
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
        std::vector<cancel_source> layer;
        std::uint32_t random = seed;
        std::size_t timed = 0;
        for (int i = 0; i < 50; ++i) {
            random = random * 1664525 + 1013904223;
            const cancel_token above = layer.empty() ? cancel_token() : layer.back().token();
            // The last one with a timer is the one that is meant; those above have time.
            if ((random >> 16) % 3 == 0) {
                layer.emplace_back(by_timeout && i > 40 ? duration(2ms) : duration(10h), above);
                timed = layer.size() - 1;
            } else {
                layer.emplace_back(above);
            }
        }
        const cancel_token deepest = layer.back().token();
        CHECK_FALSE(deepest.cancelled());
        const bool timeout = by_timeout && timed > 40;
        if (!timeout) layer.front().cancel();
        const bool same =
            co_await ends_with(deepest, make_error_code(timeout ? errc::timed_out : errc::cancelled));
        CHECK(same);
        while (!layer.empty()) layer.pop_back(); // children first
    }
}

} // namespace

TEST_TASK("fifty layers of tokens and timers are done when the top is cancelled") { co_await layers(false); }
LEVADA_TEST_CASE("fifty layers of tokens and timers are done when one of their timers fires") {
    co_await layers(true);
}

// TestCancelRemoves
TEST_TASK("a child or a timer that was cancelled does not hang on its parent any longer") {
    cancel_source parent;
    CHECK(nothing_hangs_on(parent.token()));
    std::optional<cancel_source> child(std::in_place, parent.token());
    CHECK_FALSE(nothing_hangs_on(parent.token()));
    child.reset();
    CHECK(nothing_hangs_on(parent.token()));
    std::optional<cancel_source> timed(std::in_place, 10h, parent.token());
    CHECK_FALSE(nothing_hangs_on(parent.token()));
    timed.reset();
    CHECK(nothing_hangs_on(parent.token()));
    {
        const cancel_callback c(parent.token(), [] {});
        CHECK_FALSE(nothing_hangs_on(parent.token()));
    }
    CHECK(nothing_hangs_on(parent.token()));
    co_return;
}

// TestWithCancelCanceledParent
TEST_TASK("a child of a parent that is cancelled already is born cancelled, for its parent's reason") {
    cancel_source parent;
    parent.cancel(because);
    const cancel_source child(parent.token());
    CHECK(child.token().reason() == because);
    const cancel_source timed(10h, parent.token());
    CHECK(timed.token().reason() == because);
    auto reason = co_await child.token().done();
    CHECK(reason == because);
}

// TestWithCancelSimultaneouslyCanceledParent
TEST_CASE("a child that is made while its parent is cancelled is cancelled with it") {
    for (int i = 0; i < 300; ++i) {
        cancel_source parent;
        std::thread canceller([&] { parent.cancel(because); });
        const cancel_source child(parent.token());
        canceller.join();
        REQUIRE(child.token().reason() == because);
    }
}

// TestCause
namespace {

struct cause_case {
    const char* name;
    std::function<std::error_code()> reason; // of the innermost token, once the steps have been taken
    std::error_code expected;
};

} // namespace

TEST_TASK("the first reason stays, a child has its parent's unless it had its own before") {
    const std::error_code none;
    const std::error_code cancelled = make_error_code(errc::cancelled);
    const std::error_code timed_out = make_error_code(errc::timed_out);
    const cause_case table[] = {
        {"a token of nobody", [] { return cancel_token().reason(); }, none},
        {"not cancelled",
         [] {
             cancel_source s;
             return s.token().reason();
         },
         none},
        {"cancelled",
         [] {
             cancel_source s;
             s.cancel();
             return s.token().reason();
         },
         cancelled},
        {"with a reason",
         [] {
             cancel_source s;
             s.cancel(because);
             return s.token().reason();
         },
         because},
        {"with a reason, after it was cancelled without",
         [] {
             cancel_source s;
             s.cancel();
             s.cancel(because);
             return s.token().reason();
         },
         cancelled},
        {"parent with a reason",
         [] {
             cancel_source p;
             cancel_source c(p.token());
             p.cancel(parents);
             return c.token().reason();
         },
         parents},
        {"child before parent",
         [] {
             cancel_source p;
             cancel_source c(p.token());
             c.cancel(childs);
             p.cancel(parents);
             return c.token().reason();
         },
         childs},
        {"the parent keeps its own, though the child was cancelled before",
         [] {
             cancel_source p;
             cancel_source c(p.token());
             c.cancel(childs);
             p.cancel(parents);
             return p.token().reason();
         },
         parents},
        {"parent before child",
         [] {
             cancel_source p;
             cancel_source c(p.token());
             p.cancel(parents);
             c.cancel(childs);
             return c.token().reason();
         },
         parents},
        {"parent without a reason, then child with one",
         [] {
             cancel_source p;
             cancel_source c(p.token());
             p.cancel();
             c.cancel(childs);
             return c.token().reason();
         },
         cancelled},
        {"below a stop token that stops",
         [] {
             std::stop_source s;
             const cancel_on_stop p(s.get_token());
             const cancel_source c(p.token());
             s.request_stop();
             return c.token().reason();
         },
         cancelled},
        {"a timeout that has passed", [] { return cancel_source(duration::zero()).token().reason(); },
         timed_out},
        {"a timeout that has passed, with its own reason",
         [] { return cancel_source(duration::zero(), {}, too_late).token().reason(); }, too_late},
        {"a deadline that has passed, with its own reason",
         [] { return cancel_source(now() - 1s, {}, too_late).token().reason(); }, too_late},
        {"cancelled before its timeout, which has a reason",
         [] {
             cancel_source s(10h, {}, too_late);
             s.cancel(because);
             return s.token().reason();
         },
         because},
        {"a parent's timeout that has passed, with its own reason",
         [] {
             const cancel_source p(duration::zero(), {}, too_late);
             return cancel_source(p.token()).token().reason();
         },
         too_late},
        {"without_cancel of a cancelled parent",
         [] {
             cancel_source p;
             p.cancel(parents);
             return without_cancel(p.token()).reason();
         },
         none},
        {"a child of without_cancel",
         [] {
             cancel_source p;
             p.cancel(parents);
             cancel_source c(without_cancel(p.token()));
             c.cancel(childs);
             return c.token().reason();
         },
         childs},
    };
    for (const cause_case& c : table) {
        INFO(c.name);
        CHECK(c.reason() == c.expected);
    }
    co_return;
}

// TestWithTimeoutCause, TestWithDeadlineCause
LEVADA_TEST_CASE("a timer that fires gives its own reason, to those below too") {
    cancel_source s(1ms, {}, too_late);
    cancel_source below(s.token());
    cancel_source shorter(500us, s.token());
    const bool first = co_await ends_with(shorter.token(), make_error_code(errc::timed_out));
    CHECK(first);
    const bool then = co_await ends_with(below.token(), too_late);
    CHECK(then);
    auto r = co_await with_token(s.token(), [] { return 1; });
    CHECK(test_support::holds(r, 1)); // it returned all the same
    auto unwound = co_await with_token(s.token(), []() -> task<> { co_await sleep_for(1h); });
    CHECK(unwound.error() == too_late);
}

// TestAfterFuncCalledAfterCancel, AfterTimeout, CalledImmediately, NotCalledAfterStop, CalledAsynchronously
LEVADA_TEST_CASE("a callback is called once after the cancel, and after the timeout") {
    for (const bool by_timeout : {false, true}) {
        std::optional<cancel_source> s;
        if (by_timeout) s.emplace(1ms);
        else s.emplace();
        int called = 0;
        cancel_callback c(s->token(), [&called] { ++called; });
        CHECK(called == 0);
        if (!by_timeout) s->cancel();
        co_await s->token().done();
        CHECK(called == 1);
        CHECK_FALSE(c.reset()); // too late to prevent it
        s->cancel();
        CHECK(called == 1);
    }
}

TEST_TASK("a callback on a token that is cancelled already is called at once, one that was reset never") {
    cancel_source s;
    int called = 0;
    {
        cancel_callback taken_back(s.token(), [&called] { called += 100; });
        CHECK(taken_back.reset());
        CHECK_FALSE(taken_back.reset());
    }
    s.cancel();
    const cancel_callback at_once(s.token(), [&called] { ++called; });
    CHECK(called == 1);
    co_return;
}

TEST_CASE("a callback may cancel other tokens, and may go while it runs") {
    cancel_source first, second;
    int called = 0;
    std::optional<cancel_callback<std::function<void()>>> own;
    own.emplace(first.token(), std::function<void()>([&] {
                    second.cancel(because);
                    ++called;
                    own.reset(); // and what it captured: nothing may be touched after that
                }));
    const cancel_callback last(second.token(), [&called] { ++called; });
    first.cancel();
    CHECK(called == 2);
    CHECK(second.token().reason() == because);
}

// TestCustomContextPropagation, TestCustomContextGoroutines: the custom parent is a stop token.
TEST_TASK("a stop token cancels what hangs below it, and a cancel stops what knows only stop tokens") {
    std::stop_source outside;
    const cancel_on_stop in(outside.get_token());
    const stop_on_cancel out(in.token());
    bool stopped = false;
    const std::stop_callback callback(out.token(), [&stopped] { stopped = true; });
    auto waiter = spawn(
        [](cancel_token t) { return ends_with(std::move(t), make_error_code(errc::cancelled)); }, in.token());
    co_await test_support::until_parked(waiter);
    CHECK_FALSE(stopped);
    outside.request_stop();
    CHECK(stopped);
    CHECK(out.token().stop_requested());
    auto r = co_await waiter.join();
    CHECK(test_support::holds(r, true));
    // Both are so from the start where it has happened before.
    const cancel_on_stop late(outside.get_token());
    CHECK(late.token().cancelled());
    CHECK(stop_on_cancel(late.token()).token().stop_requested());
}

TEST_CASE("a stop that is requested on another thread meets the end of its bridge, and one of both waits") {
    for (int i = 0; i < 300; ++i) {
        std::stop_source outside;
        auto in = std::make_unique<cancel_on_stop>(outside.get_token());
        auto out = std::make_unique<stop_on_cancel>(in->token());
        const std::stop_token seen = out->token();
        std::thread stopper([&] { outside.request_stop(); });
        if (i % 2) out.reset();
        in.reset(); // cancels by itself
        stopper.join();
        REQUIRE((i % 2 || seen.stop_requested()));
    }
}
