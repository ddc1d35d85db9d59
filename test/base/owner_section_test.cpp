#include <support.hpp>

#include <levada/channel/channel.hpp>
#include <levada/detail/util/lock.hpp>
#include <levada/loop/event_loop.hpp>
#include <levada/loop/offload.hpp>
#include <levada/loop/runtime.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/with_group.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

using namespace levada;
using namespace levada::detail;
using enum ownership::state_of;

namespace {

// As if nobody had come yet. No other thread may be in the library.
void forget_owner() {
    ownership::all.state = unowned;
    ownership::mine = false;
}

// As if other threads had been started, of which none has come.
class with_threads_beside : test_support::owned_as_before {
public:
    with_threads_beside() {
        __libc_single_threaded = 0;
        forget_owner();
    }
};

} // namespace

TEST_CASE("the first thread that comes is the owner, and stays it while others do without the library") {
    const with_threads_beside scope;
    std::thread([] { std::this_thread::yield(); }).join();
    ref_count n(1);
    n.add();
    CHECK(ownership::all.state == owned);
    CHECK(ownership::mine);
    {
        const owner_section section;
        CHECK(section);
        const owner_section within;
        CHECK(within);
    }
    CHECK(ownership::all.inside == 0);
    std::thread([] { std::this_thread::yield(); }).join();
    CHECK_FALSE(n.drop());
    CHECK(ownership::all.state == owned);
}

TEST_CASE("a second thread comes only once the owner has left its section") {
    const with_threads_beside scope;
    for (int i = 0; i < 20; ++i) {
        forget_owner();
        std::atomic<bool> came = false;
        const auto in = owner_section::enter();
        REQUIRE(in == owner_section::entered::outer);
        std::thread other([&] {
            const owner_section section;
            came = !section; // there is none for it
        });
        while (ownership::all.state != ending) std::this_thread::yield(); // it waits
        for (int n = 0; n < 100; ++n) std::this_thread::yield();
        CHECK_FALSE(came);
        {
            const owner_section within; // the one outside has begun: so this goes on
            CHECK(within);
        }
        owner_section::leave(in);
        other.join();
        CHECK(came);
        CHECK_FALSE(owner_section());
    }
}

TEST_CASE("a lock that the owner holds in a section keeps others out") {
    const with_threads_beside scope;
    for (int i = 0; i < 20; ++i) {
        forget_owner();
        lock l;
        long value = 0;
        l.acquire();
        std::thread other([&] {
            const lock_guard guard(l);
            CHECK(value == 1);
            value = 2;
        });
        while (ownership::all.state != ending) std::this_thread::yield(); // it waits
        value = 1;
        l.release();
        other.join();
        const lock_guard guard(l);
        CHECK(value == 2);
    }
}

TEST_CASE("no count and no hold of a lock is lost while the ownership ends") {
    const with_threads_beside scope;
    constexpr int rounds = 300, times = 200;
    for (int i = 0; i < rounds; ++i) {
        forget_owner();
        lock l;
        long held = 0;
        ref_count refs(1);
        std::atomic<std::uint8_t> flag{0};
        std::atomic<int> taken{0};
        std::atomic<bool> go{false};
        const auto work = [&](int n) {
            for (; n != 0; --n) {
                refs.add();
                {
                    const lock_guard guard(l);
                    ++held;
                }
                if (exchange_flag(flag, std::uint8_t(1)) == 0)
                    taken += exchange_flag(flag, std::uint8_t(0)) == 1;
            }
        };
        std::thread first([&] {
            go.wait(false);
            work(times);
        });
        std::thread second([&] {
            go.wait(false);
            work(i % 20);
        });
        work(i % 7); // who is first owns it
        go = true;
        go.notify_all();
        work(times);
        first.join();
        second.join();
        REQUIRE(held == 2 * times + i % 20 + i % 7);
        REQUIRE(refs.count() == 1u + static_cast<unsigned>(held));
        REQUIRE(ownership::all.state == ended);
        REQUIRE(ownership::all.inside == 0);
    }
}

TEST_CASE("what other threads do for a loop, and post to it, leaves its owner in sections") {
    const with_threads_beside scope;
    runtime rt({.loops = 1});
    const int code = rt.run([]() -> task<int> {
        channel<int> ch(4);
        int sum = 0;
        for (int i = 1; i <= 20; ++i) {
            std::ignore = co_await ch.send(i);
            sum += co_await offload([i] { return i; });
            sum += *co_await ch.recv();
        }
        co_return sum == 420 && ownership::all.state == owned ? 0 : 1;
    });
    CHECK(code == 0);

    event_loop loop;
    int called = 0;
    std::thread([&] { loop.post([&] { ++called; }); }).join();
    while (loop.poll()) {
    }
    CHECK(called == 1);
    CHECK(ownership::all.state == owned);
}

TEST_CASE("in the child of a fork whose thread is not the owner nobody is") {
    const with_threads_beside scope;
    ref_count n(1);
    int status = -1;
    const auto in = owner_section::enter(); // of which the child has half
    REQUIRE(in == owner_section::entered::outer);
    std::thread([&] {
        const pid_t child = ::fork();
        if (child == 0) {
            n.add(); // would wait for ever
            ::_exit(ownership::all.state == ended ? 0 : 1);
        }
        ::waitpid(child, &status, 0);
    }).join();
    owner_section::leave(in);
    CHECK(status == 0);

    const pid_t child = ::fork();
    if (child == 0) {
        n.add();
        ::_exit(ownership::all.state == owned ? 0 : 1);
    }
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
}

TEST_CASE(
    "a thread that comes while another runs a loop, and has not come for anything else, wakes its tasks") {
    const with_threads_beside scope;
    channel<int> ch;
    event_loop loop;
    int got = 0;
    loop.go([&]() -> task<> { got = *co_await ch.recv(); });
    (void)loop.poll(); // it waits
    forget_owner();    // as if this thread had been alone so far
    std::thread other([&] { std::ignore = ch.try_send(1); });
    loop.run(); // until it has ended
    other.join();
    CHECK(got == 1);
}

TEST_CASE("a task whose token another thread polls stays below its parent when it has ended") {
    const with_threads_beside scope;
    std::thread polls;
    runtime rt({.loops = 1});
    CHECK(rt.run([&]() -> task<> {
        auto h = spawn([&]() -> task<> {
            co_await with_group([&](task_group& g) -> task<> {
                g.go([&]() -> task<> {
                    polls = std::thread([t = this_task::token()] {
                        while (!t.cancelled()) std::this_thread::yield();
                    });
                    co_return;
                });
                g.go([]() -> task<> { co_await sleep_for(std::chrono::hours(1)); });
                co_return;
            });
        });
        while (!polls.joinable()) co_await this_task::yield();
        co_await this_task::yield();
        h.cancel();
        std::ignore = co_await h.join();
    }) == 0);
    polls.join();
}

TEST_CASE("the owner posts to a loop that another thread runs, which has not come for anything else") {
    const with_threads_beside scope;
    ref_count n(1);
    n.add(); // it is the owner
    std::atomic<event_loop*> there{nullptr};
    std::atomic<bool> called{false};
    std::thread other([&] {
        event_loop loop;
        (void)loop.poll();
        there = &loop;
        there.notify_all();
        while (!called) (void)loop.run_once(std::chrono::hours(1));
    });
    there.wait(nullptr);
    there.load()->post([&] { called = true; });
    other.join();
    CHECK(called);
}
