#include <support.hpp>

#include <levada/channel/channel.hpp>
#include <levada/detail/util/owner_section.hpp>
#include <levada/loop/runtime.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/with_group.hpp>

#include "loop/run_queue.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

using namespace levada;

namespace {

// Computes until it is told: never, if whoever tells it waits behind it.
void compute_until(const std::atomic<bool>& told) {
    while (!told.load(std::memory_order_relaxed)) detail::relax();
}

task<> tell(std::atomic<bool>& told) {
    told = true;
    co_return;
}

} // namespace

TEST_CASE("what waits behind a task that computes runs on another loop meanwhile") {
    const test_support::with_loops unset;
    for (const std::size_t loops : {2u, 4u}) {
        runtime rt({.loops = loops});
        std::atomic<bool> told = false;
        CHECK(rt.run([&]() -> task<> {
            co_await with_group([&](task_group& g) -> task<> {
                g.go([&]() -> task<> {
                    compute_until(told);
                    co_return;
                });
                g.go(tell, std::ref(told));
                co_return;
            });
        }) == 0);
    }
}

TEST_CASE("what a task has started runs elsewhere while it computes itself") {
    const test_support::with_loops unset;
    runtime rt({.loops = 2});
    std::atomic<bool> told = false;
    CHECK(rt.run([&]() -> task<> {
        auto other = spawn(tell, std::ref(told));
        compute_until(told);
        co_await or_throw(other.join());
    }) == 0);
}

TEST_CASE("whom a task has woken runs elsewhere while it computes itself") {
    const test_support::with_loops unset;
    runtime rt({.loops = 2});
    std::atomic<bool> told = false;
    CHECK(rt.run([&]() -> task<> {
        channel<void> ch;
        auto other = spawn([&]() -> task<> {
            co_await or_throw(ch.recv());
            told = true;
        });
        co_await this_task::yield(); // now it waits
        std::ignore = ch.try_send();
        compute_until(told);
        co_await or_throw(other.join());
    }) == 0);
}

TEST_CASE("whom a task wakes that was woken itself runs elsewhere while that one computes") {
    const test_support::with_loops unset;
    runtime rt({.loops = 2});
    std::atomic<bool> told = false;
    CHECK(rt.run([&]() -> task<> {
        channel<void> ch;
        auto other = spawn([&]() -> task<> {
            co_await or_throw(ch.recv());
            told = true;
        });
        co_await sleep_for(
            std::chrono::milliseconds(50)); // until the watcher rests, unless this machine is slow
        std::ignore = ch.try_send();
        compute_until(told);
        co_await or_throw(other.join());
    }) == 0);
}

TEST_CASE("all that waits behind tasks that compute runs elsewhere, however many there are") {
    const test_support::with_loops unset;
    runtime rt({.loops = 2});
    std::array<std::atomic<bool>, 5> told{};
    CHECK(rt.run([&]() -> task<> {
        for (auto& one : told) { // without an await between them
            go(tell, std::ref(one));
            compute_until(one);
        }
        for (auto& one : told) one = false;
        for (auto& one : told) go(tell, std::ref(one));
        for (auto& one : told) compute_until(one);
        co_return;
    }) == 0);
}

TEST_CASE("a task that computes is seen again and again, after fine work and after rest") {
    const test_support::with_loops unset;
    runtime rt({.loops = 2});
    CHECK(rt.run([&]() -> task<> {
        for (int i = 0; i < 5; ++i) {
            channel<int> ch(16);
            auto fine = spawn([&]() -> task<> {
                for (int n = 0; n < 20'000; ++n) co_await or_throw(ch.send(n));
                ch.close();
            });
            while (co_await ch.recv()) {
            }
            co_await or_throw(fine.join());
            if (i % 2 == 0) co_await sleep_for(std::chrono::milliseconds(25)); // until the watcher rests
            std::atomic<bool> told = false;
            auto other = spawn(tell, std::ref(told));
            compute_until(told);
            co_await or_throw(other.join());
        }
    }) == 0);
}

TEST_CASE("fine work beside which somebody watches starts no loops, and has its owner") {
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    SKIP("an operation takes so long in this build that the work is coarse");
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    SKIP("an operation takes so long in this build that the work is coarse");
#endif
#endif
    const test_support::owned_as_before scope;
    const test_support::with_loops unset;
    int owned = 0;
    // The first time all is cold, and steps are long.
    for (int i = 0; i < 3 && owned == 0; ++i) {
        // As in a process of which nobody else has used the library.
        detail::ownership::all.state = detail::ownership::state_of::unowned;
        detail::ownership::mine = false;
        runtime rt({.loops = 2});
        owned = rt.run([]() -> task<int> {
            channel<int> ch(16);
            auto fine = spawn([&]() -> task<> {
                for (int n = 0; n < 200'000; ++n) co_await or_throw(ch.send(n));
                ch.close();
            });
            while (co_await ch.recv()) {
            }
            co_await or_throw(fine.join());
            co_return detail::ownership::all.state == detail::ownership::state_of::owned ? 1 : 0;
        });
    }
    CHECK(owned == 1);
}

TEST_CASE("a runtime that ends while its watcher starts the other loops ends with all its tasks") {
    const test_support::with_loops unset;
    for (int i = 0; i < 60; ++i) {
        const auto held = std::make_shared<int>();
        {
            runtime rt({.loops = 2 + static_cast<std::size_t>(i % 2)});
            CHECK(rt.run([&]() -> task<> {
                for (int n = 0; n < 4; ++n)
                    go([i, held]() -> task<> {
                        // Around the time at which the watcher comes; right whenever it does.
                        for (const auto until = now() + std::chrono::microseconds(20 * i); now() < until;) {
                        }
                        co_return;
                    });
                co_return;
            }) == 0);
        }
        REQUIRE(held.use_count() == 1);
    }
}

TEST_CASE("where what waits behind a task that computes may not move, no loops are started for it") {
    const test_support::with_loops unset;
    const auto threads = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
    };
    runtime rt({.loops = 2});
    std::ptrdiff_t before = 0;
    std::ptrdiff_t most = 0;
    CHECK(rt.run([&]() -> task<> {
        before = threads();
        wait_group both;
        both.add(2);
        const auto steps = [&]() -> task<> {
            for (int i = 0; i < 10; ++i) { // coarse ones, beside the other's
                for (const auto until = now() + std::chrono::milliseconds(2); now() < until;) {
                }
                co_await this_task::yield();
                most = std::max(most, threads());
            }
            both.done();
        };
        auto one = spawn_on(rt.loop(0), steps);
        auto other = spawn_on(rt.loop(0), steps);
        co_await both.wait();
        co_await or_throw(one.join());
        co_await or_throw(other.join());
    }) == 0);
    CHECK(most <= before + 1); // the watcher
}

TEST_CASE("a visitor and the owner of a queue take each work once") {
    class counted final : public work {
    public:
        void run() noexcept override { ++times; }
        bool move_to(executor&) noexcept override { return true; }
        std::atomic<int> times = 0;
    };
    event_loop loop; // for its address
    detail::run_queue queue;
    std::vector<counted> works(20'000);
    std::atomic<bool> over = false;
    std::thread visitor([&] {
        while (!over) {
            detail::ready_half taken = queue.visit_half(64, loop);
            for (auto* list : {&taken.urgent, &taken.usual})
                while (work* const w = list->pop()) w->run();
        }
    });
    std::size_t next = 0;
    while (next != works.size() || !queue.empty()) {
        for (int n = 0; n < 5 && next != works.size(); ++n) queue.push_ready(works[next++]);
        for (int n = 0; n < 4; ++n)
            if (work* const w = queue.next_usual()) w->run();
    }
    over = true;
    visitor.join();
    for (const counted& w : works) REQUIRE(w.times == 1);
}
