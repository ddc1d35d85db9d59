// Tokens and sources: Go's context rules.

#include <support.hpp>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {
const std::error_code unreachable = std::make_error_code(std::errc::host_unreachable);
}

static_assert(!std::is_copy_constructible_v<cancel_source>);
static_assert(std::is_nothrow_move_constructible_v<cancel_source>);

TEST_CASE("a default-made token is never cancelled") {
    const cancel_token t;
    REQUIRE(!t.cancelled());
    REQUIRE(!t.reason());
    REQUIRE(t.deadline() == time_point::max());
    REQUIRE(t == cancel_token());
}

TEST_CASE("a cancel reaches children and grandchildren, with its reason") {
    cancel_source top;
    cancel_source child(top.token());
    cancel_source grandchild(child.token());
    REQUIRE(top.cancel(unreachable));
    REQUIRE(child.token().cancelled());
    REQUIRE(grandchild.token().cancelled());
    REQUIRE(grandchild.token().reason() == std::errc::host_unreachable);
}

TEST_CASE("a child's cancel does not touch its parent or its siblings") {
    cancel_source top;
    cancel_source a(top.token());
    cancel_source b(top.token());
    a.cancel();
    REQUIRE(a.token().cancelled());
    REQUIRE(!top.token().cancelled());
    REQUIRE(!b.token().cancelled());
}

TEST_CASE("the first reason stays") {
    cancel_source top;
    cancel_source child(top.token());
    REQUIRE(child.cancel(unreachable));
    REQUIRE(top.cancel());
    REQUIRE(!child.cancel(errc::timed_out));
    REQUIRE(!top.cancel(unreachable));
    REQUIRE(child.token().reason() == std::errc::host_unreachable);
    REQUIRE(top.token().reason() == errc::cancelled);
}

TEST_CASE("a child of a cancelled parent is born cancelled with the parent's reason") {
    cancel_source top;
    top.cancel(unreachable);
    cancel_source child(top.token());
    REQUIRE(child.token().cancelled());
    REQUIRE(child.token().reason() == std::errc::host_unreachable);
    cancel_source late(time_point::min(), top.token()); // and its own deadline comes second
    REQUIRE(late.token().reason() == std::errc::host_unreachable);
}

TEST_CASE("a source that is dropped cancels, and one that is moved does not") {
    cancel_token t;
    {
        cancel_source src;
        t = src.token();
        cancel_source moved(std::move(src));
        REQUIRE(!t.cancelled());
        REQUIRE(moved.token() == t);
        REQUIRE(!src.cancel());
        REQUIRE(src.token() == cancel_token());
        cancel_source other;
        const cancel_token overwritten = other.token();
        other = std::move(moved);
        REQUIRE(overwritten.cancelled());
        REQUIRE(!t.cancelled());
    }
    REQUIRE(t.cancelled());
    REQUIRE(t.reason() == errc::cancelled);
}

TEST_CASE("a child outlives its parent's source and was cancelled by it") {
    std::optional<cancel_source> top(std::in_place);
    cancel_source child(top->token());
    cancel_source grandchild(child.token());
    top.reset();
    REQUIRE(grandchild.token().cancelled());
}

TEST_CASE("a deadline that has passed cancels at once") {
    cancel_source past(now() - 1ns);
    REQUIRE(past.token().cancelled());
    REQUIRE(past.token().reason() == errc::timed_out);
    cancel_source none(0ms);
    REQUIRE(none.token().reason() == errc::timed_out);
    cancel_source negative(std::chrono::hours::min());
    REQUIRE(negative.token().reason() == errc::timed_out);
}

TEST_CASE("the earlier deadline wins") {
    const time_point t = now() + 1h;
    cancel_source top(t);
    cancel_source later(t + 1h, top.token());
    cancel_source earlier(t - 1min, top.token());
    cancel_source none(top.token());
    REQUIRE(top.token().deadline() == t);
    REQUIRE(later.token().deadline() == t);
    REQUIRE(earlier.token().deadline() == t - 1min);
    REQUIRE(none.token().deadline() == t);
}

TEST_CASE("a million short children under one parent leave nothing behind") {
    cancel_source top;
    const std::size_t before = frame_pool::live();
    for (int i = 0; i < 1'000'000; ++i) {
        cancel_source child(top.token());
        if (i % 3 == 0) child.cancel();
    }
    REQUIRE(frame_pool::live() == before);
    REQUIRE(!top.token().cancelled());
}

TEST_CASE("a cancel goes down a chain of 100,000 sources without growing the stack") {
    const std::size_t before = frame_pool::live();
    {
        std::vector<cancel_source> chain;
        chain.emplace_back();
        for (int i = 0; i < 100'000; ++i) chain.emplace_back(chain.back().token());
        chain.front().cancel(unreachable);
        REQUIRE(chain.back().token().reason() == std::errc::host_unreachable);
    }
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("the last token of a long chain frees it without growing the stack") {
    const std::size_t before = frame_pool::live();
    {
        cancel_token last;
        {
            cancel_source src;
            for (int i = 0; i < 100'000; ++i) src = cancel_source(src.token());
            last = src.token();
        }
        REQUIRE(last.cancelled());
    }
    REQUIRE(frame_pool::live() == before);
}

TEST_TASK("a deadline fires with the reason timed_out, and reaches the children") {
    const time_point begin = now();
    cancel_source top(5ms);
    cancel_source child(top.token());
    const std::error_code why = co_await child.token().done();
    REQUIRE(why == errc::timed_out);
    REQUIRE(now() - begin >= 5ms);
    REQUIRE(top.token().reason() == errc::timed_out);
}

TEST_TASK("a child's earlier deadline leaves the parent alone") {
    cancel_source top(1h);
    cancel_source child(1ms, top.token());
    auto why = co_await child.token().done();
    REQUIRE(why == errc::timed_out);
    REQUIRE(!top.token().cancelled());
}

TEST_TASK_ALONE("a million short children with deadlines leave no timers behind") {
    cancel_source top(1h);
    const std::size_t before = frame_pool::live();
    for (int i = 0; i < 20'000; ++i) {
        cancel_source child(30min, top.token());
        if (i % 2 == 0) child.cancel();
    }
    REQUIRE(frame_pool::live() == before);
    REQUIRE(executor::current()->next_deadline() > now() + 59min);
    co_return;
}

TEST_TASK("done gives the reason at once when it is there") {
    cancel_source src;
    src.cancel(unreachable);
    auto why = co_await src.token().done();
    REQUIRE(why == std::errc::host_unreachable);
}

TEST_TASK("done of a default-made token waits for ever, and gives up like any operation") {
    auto r = co_await with_timeout(1ms, cancel_token().done());
    // A token's reason is no result: with_timeout wraps it.
    REQUIRE(r.error() == errc::timed_out);
}

TEST_TASK("a token fires for all that wait for it") {
    cancel_source src;
    int woken = 0;
    task_group g;
    for (int i = 0; i < 20; ++i)
        g.go(
            [&woken](cancel_token t) -> task<> {
                auto s = co_await select(t.done(), after(1h));
                if (s.index() == 0) ++woken;
            },
            src.token());
    co_await test_support::until_all_parked();
    src.cancel();
    co_await g.wait();
    REQUIRE(woken == 20);
}

TEST_TASK_ALONE("a token as an arm that loses is let go") {
    cancel_source src;
    const std::size_t before = frame_pool::live();
    for (int i = 0; i < 1000; ++i) {
        auto s = co_await select(src.token().done(), after(1us));
        REQUIRE(s.index() == 1);
    }
    REQUIRE(frame_pool::live() == before);
}

TEST_TASK("a source made from the task's own token ends with the task") {
    cancel_token seen;
    auto h = spawn([&seen]() -> task<> {
        cancel_source src(this_task::token());
        seen = src.token();
        auto why = co_await cancel_token().done();
        static_cast<void>(why);
    });
    co_await test_support::until_parked(h);
    REQUIRE(!seen.cancelled());
    h.cancel(unreachable);
    REQUIRE(seen.reason() == std::errc::host_unreachable);
    auto r = co_await h.join();
    REQUIRE(!r);
}

TEST_CASE("the deadline of a task's token can be asked on another thread while the task ends") {
    const test_support::with_loops unset;
    std::atomic<bool> stop = false;
    std::mutex guard;
    cancel_token latest;
    std::thread reader([&] {
        while (!stop) {
            cancel_token t;
            {
                const std::lock_guard lock(guard);
                t = latest;
            }
            for (int i = 0; i < 20; ++i)
                if (t.deadline() != time_point::max()) std::abort();
        }
    });
    runtime rt({.loops = 1});
    rt.run([&]() -> task<> {
        for (int i = 0; i < 3000; ++i)
            co_await with_group([&](task_group& g) -> task<> {
                g.go([&]() -> task<> {
                    {
                        const std::lock_guard lock(guard);
                        latest = this_task::token();
                    }
                    co_await this_task::yield();
                });
                co_return;
            });
    });
    stop = true;
    reader.join();
}
