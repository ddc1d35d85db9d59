// Groups that are cancelled at the worst moments: by three plain threads at once, twice, while children are
// being started, while the group waits, while shields run and while nested groups unwind.

#include <support.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

struct counts {
    std::atomic<long> begun = 0;
    std::atomic<long> ended = 0;
    std::atomic<long> goodbyes_begun = 0;
    std::atomic<long> goodbyes_done = 0;
};

/// Counts itself in and out, and says goodbye behind a shield, whatever happens.
task<> child(counts& n, channel<int> never, int depth) {
    ++n.begun;
    defer out([&]() noexcept { ++n.ended; });
    if (depth > 0) {
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < 2; ++i) g.go(child, std::ref(n), never, depth - 1);
            co_await this_task::yield();
        });
    }
    co_await shield([&]() -> task<> {
        ++n.goodbyes_begun;
        co_await this_task::yield();
        co_await sleep_for(20us);
        ++n.goodbyes_done;
    });
    static_cast<void>(co_await never.recv());
}

/// Starts children for as long as it is let.
task<> starts_children(counts& n, channel<int> never, bool then_waits) {
    co_await with_group([&](task_group& g) -> task<> {
        for (int i = 0; i < 50; ++i) {
            g.go(child, std::ref(n), never, i % 3);
            if (i % 8 == 7) co_await this_task::yield();
        }
        if (!then_waits) static_cast<void>(co_await never.recv());
    });
}

} // namespace

TEST_CASE("groups cancelled by three threads at any moment end with all of their children, shields run to "
          "their end") {
    const test_support::with_loops unset;
    constexpr int rounds = 150;
    const std::size_t frames = frame_pool::live();
    counts n;
    long cancelled = 0;
    {
        runtime rt({.loops = 4, .eager = true});
        rt.run([&]() -> task<> {
            channel<int> never;
            for (int round = 0; round < rounds; ++round) {
                cancel_source src;
                std::array<std::thread, 3> threads;
                for (int t = 0; t < 3; ++t)
                    threads[static_cast<std::size_t>(t)] = std::thread([&src, round, t] {
                        for (int i = 0; i < round * 7 % 64 + t; ++i) std::this_thread::yield();
                        for (int twice = 0; twice < 2; ++twice) static_cast<void>(src.cancel());
                    });
                auto r =
                    co_await with_token(src.token(), starts_children, std::ref(n), never, round % 2 == 0);
                // By now nothing of it lives, though threads may still be about to cancel it once more.
                CHECK(n.begun == n.ended);
                CHECK(n.goodbyes_begun == n.goodbyes_done);
                cancelled += r ? 0 : 1;
                for (std::thread& t : threads) t.join();
            }
        });
    }
    CHECK(cancelled == rounds);
    CHECK(n.begun > 0);
    CHECK(frame_pool::live() == frames);
}
