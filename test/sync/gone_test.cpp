// Objects that are destroyed while a task has yet to let go of them: it was cancelled, or took another arm of
// its select, and had been popped from the queue before it ran. They terminate with their message, as if it
// stood there still.

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/io/unix.hpp>
#include <levada/loop/run.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/latch.hpp>
#include <levada/sync/mutex.hpp>
#include <levada/sync/once.hpp>
#include <levada/sync/semaphore.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

using namespace levada;
using test_support::until_parked;

namespace {

task<> wait_for_event(event& e) { co_await e.wait(); }
task<> wait_for_latch(latch& l) { co_await l.wait(); }
task<> wait_for_lock(mutex& m) { std::ignore = co_await m.lock(); }
task<> wait_for_units(semaphore& s) { std::ignore = co_await s.acquire(); }
task<> wait_for_group(wait_group& g) { co_await g.wait(); }
task<> wait_for_value(channel<int> ch) { std::ignore = co_await ch.recv(); }

} // namespace

TEST_CASE("a mutex that goes before a cancelled waiter has let go terminates") {
    const auto d = test_support::run_task_to_death([]() -> task<> {
        auto m = std::make_unique<mutex>();
        auto held = std::optional(co_await m->lock());
        auto w = spawn(wait_for_lock, std::ref(*m));
        co_await until_parked(w);
        w.cancel();
        held.reset();
        m.reset();
        std::ignore = co_await w.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("a mutex was destroyed while somebody waits for it"));
}

TEST_CASE("an event that goes before a cancelled waiter has let go terminates") {
    const auto d = test_support::run_task_to_death([]() -> task<> {
        auto e = std::make_unique<event>();
        auto w = spawn(wait_for_event, std::ref(*e));
        co_await until_parked(w);
        w.cancel();
        e->set();
        e.reset();
        std::ignore = co_await w.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("an event was destroyed while somebody waits for it"));
}

TEST_CASE("a latch that goes before a cancelled waiter has let go terminates") {
    const auto d = test_support::run_task_to_death([]() -> task<> {
        auto l = std::make_unique<latch>(1);
        auto w = spawn(wait_for_latch, std::ref(*l));
        co_await until_parked(w);
        w.cancel();
        l->count_down();
        l.reset();
        std::ignore = co_await w.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("a latch was destroyed while somebody waits for it"));
}

TEST_CASE("a semaphore that goes before a cancelled waiter has let go terminates") {
    const auto d = test_support::run_task_to_death([]() -> task<> {
        auto s = std::make_unique<semaphore>(1);
        auto permit = co_await s->acquire();
        auto w = spawn(wait_for_units, std::ref(*s));
        co_await until_parked(w);
        w.cancel();
        permit.release();
        s.reset();
        std::ignore = co_await w.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("a semaphore was destroyed while somebody waits for it"));
}

TEST_CASE("a wait_group that goes before a cancelled waiter has let go terminates") {
    const auto d = test_support::run_task_to_death([]() -> task<> {
        auto g = std::make_unique<wait_group>();
        g->add();
        auto w = spawn(wait_for_group, std::ref(*g));
        co_await until_parked(w);
        w.cancel();
        g->done();
        g.reset();
        std::ignore = co_await w.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("a wait_group was destroyed while a task waits for it"));
}

TEST_CASE("a once that goes before a cancelled caller has let go terminates") {
    const auto d = test_support::run_task_to_death([]() -> task<> {
        auto o = std::make_unique<once>();
        join_handle<> w;
        auto call = [&]() -> task<> {
            auto second = [&raw = *o]() -> task<> { co_await raw.call([] {}); };
            w = spawn(std::move(second));
            co_await until_parked(w);
            w.cancel();
        };
        co_await o->call(std::ref(call));
        o.reset();
        std::ignore = co_await w.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("a once was destroyed while a call runs or waits"));
}

TEST_CASE("an event that goes before the select that lost it has returned terminates") {
    const auto d = test_support::run_task_to_death([]() -> task<> {
        auto e = std::make_unique<event>();
        event other;
        auto both = [&]() -> task<> { std::ignore = co_await select(e->wait(), other.wait()); };
        auto w = spawn(std::ref(both));
        co_await until_parked(w);
        other.set();
        e->set();
        e.reset();
        std::ignore = co_await w.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("an event was destroyed while somebody waits for it"));
}

TEST_TASK("an event may go once those that were cancelled have ended") {
    auto e = std::make_unique<event>();
    auto w = spawn(wait_for_event, std::ref(*e));
    co_await until_parked(w);
    w.cancel();
    e->set();
    std::ignore = co_await w.join();
    e.reset();
}

TEST_CASE("a stream that goes before a cancelled receive has let go terminates") {
    const auto d = test_support::run_to_death([] {
        run([]() -> task<> {
            auto both = unix_stream::pair();
            auto to = std::make_unique<unix_stream>(std::move(both->second));
            auto receiving = [&to]() -> task<> { std::ignore = co_await to->receive(); };
            auto w = spawn(std::ref(receiving));
            co_await until_parked(w);
            w.cancel();
            to.reset();
            std::ignore = co_await w.join();
        });
    });
    CHECK(d.aborted);
    CHECK(d.says("destroyed while a task waits for it"));
}

TEST_CASE("a join_handle that is dropped while a task waits in its join terminates") {
    const auto d = test_support::run_task_to_death([]() -> task<> {
        auto h = std::make_unique<join_handle<>>(spawn(wait_for_value, channel<int>()));
        auto joining = [&raw = *h]() -> task<> { std::ignore = co_await raw.join(); };
        auto w = spawn(std::ref(joining));
        co_await until_parked(w);
        h.reset();
        std::ignore = co_await w.join();
    });
    CHECK(d.aborted);
    CHECK(d.says("a join_handle was dropped, or detached, while a task waits in its join()"));
}

TEST_TASK("a join_handle may go before one that was cancelled in its join has run") {
    auto h = std::make_unique<join_handle<>>(spawn(wait_for_value, channel<int>()));
    auto joining = [&raw = *h]() -> task<> { std::ignore = co_await raw.join(); };
    auto w = spawn(std::ref(joining));
    co_await until_parked(w);
    w.cancel();
    h.reset();
    std::ignore = co_await w.join();
}

namespace {

/// Under some of many schedules the program has to end with these words, under the others well. Tasks are
/// left only where they park: one that is left just before cannot be told from one that does not wait.
template <class F>
bool some_die_of(const char* words, const F& f) {
    bool any = false;
    for (std::uint64_t seed = 1; seed <= 16; ++seed) {
        const auto d = test_support::run_to_death([&] {
            virtual_loop loop(seed, interleave::parked);
            static_cast<void>(loop.run(f));
        });
        CHECK(d.aborted == d.says(words));
        any = any || d.aborted;
    }
    return any;
}

} // namespace

TEST_CASE("a group that goes while others wait for it, or for room in it, terminates") {
    const bool room = some_die_of("a task_group was destroyed while a task waits for it", []() -> task<> {
        auto g = std::make_unique<task_group>();
        event end;
        g->limit(1);
        g->go(wait_for_event, std::ref(end));
        auto starting = [&raw = *g]() -> task<> { co_await raw.start([] {}); };
        auto w = spawn(std::ref(starting));
        co_await until_parked(w);
        end.set();
        while (g->size() != 0 && !w.done()) {
            w.cancel();
            co_await this_task::yield();
        }
        if (g->size() == 0) g.reset();
        std::ignore = co_await w.join();
        if (g) co_await g->wait();
    });
    CHECK(room);
    const bool idle = some_die_of("a task_group was destroyed while a task waits for it", []() -> task<> {
        auto g = std::make_unique<task_group>();
        event end;
        g->go(wait_for_event, std::ref(end));
        auto waiting = [&raw = *g]() -> task<> { co_await raw.wait(); };
        auto w = spawn(std::ref(waiting));
        co_await until_parked(w);
        end.set();
        while (g->size() != 0) co_await this_task::yield();
        g.reset();
        std::ignore = co_await w.join();
    });
    CHECK(idle);
}

namespace {

/// How a process exits in which `f` runs: with this code, or -1 if it does not.
template <class F>
int exit_code_of(const F& f) {
    std::fflush(nullptr);
    const ::pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::signal(SIGABRT, SIG_DFL);
        f();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

} // namespace

TEST_CASE("exit from a task keeps its code, though static objects are in use") {
    const int held = exit_code_of([] {
        static mutex m;
        run([]() -> task<> {
            auto guard = co_await m.lock();
            std::exit(3);
        });
    });
    CHECK(held == 3);

    const int waited_for = exit_code_of([] {
        run([]() -> task<> {
            static event e; // made after the loop
            static auto units = std::make_unique<semaphore>(1);
            static once o;
            static wait_group group;
            auto permit = co_await units->acquire();
            auto w = spawn(wait_for_event, std::ref(e));
            auto u = spawn(wait_for_units, std::ref(*units));
            auto c = spawn([]() -> task<> { co_await o.call([]() -> task<> { co_await e.wait(); }); });
            group.go(wait_for_event, std::ref(e));
            co_await until_parked(w);
            co_await until_parked(u);
            co_await until_parked(c);
            std::exit(3);
        });
    });
    CHECK(waited_for == 3);
}
