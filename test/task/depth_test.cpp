// Stacks must not grow: neither with the number of awaits, nor with the depth of tasks.

#include <support.hpp>

#include <chrono>
#include <cstdint>
#include <stdexcept>

#include <levada/channel/channel.hpp>
#include <levada/sync/timer.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

constexpr int ten_million = 10'000'000;
constexpr int deep = 100'000;

task<int> one() { co_return 1; }

class counts_itself {
public:
    explicit counts_itself(int& n) noexcept : n_(n) { ++n_; }
    ~counts_itself() { --n_; }
    counts_itself(const counts_itself&) = delete;
    counts_itself& operator=(const counts_itself&) = delete;

private:
    int& n_;
};

task<int> sum_to(int n) {
    if (n == 0) co_return 0;
    const int below = co_await sum_to(n - 1);
    co_return below + 1;
}

task<> throw_at(int n, int& alive) {
    counts_itself here(alive);
    if (n == 0) throw std::runtime_error("from the leaf");
    co_await throw_at(n - 1, alive);
}

task<> park_at(int n, int& alive) {
    counts_itself here(alive);
    if (n == 0) {
        channel<int> never = nil;
        auto r = co_await never.recv();
        static_cast<void>(r);
    } else {
        co_await park_at(n - 1, alive);
    }
}

// Every other frame is a region.
task<> park_below_boundaries(int n, int& alive) {
    counts_itself here(alive);
    if (n == 0) {
        channel<int> never = nil;
        auto r = co_await never.recv();
        static_cast<void>(r);
    } else {
        auto r = co_await with_timeout(24h, park_below_boundaries, n - 1, std::ref(alive));
        static_cast<void>(r);
    }
}

} // namespace

TEST_CASE("ten million awaits of tasks that are ready do not grow the stack") {
    virtual_loop loop;
    const auto total = loop.run([]() -> task<std::int64_t> {
        std::int64_t sum = 0;
        for (int i = 0; i < ten_million; ++i) sum += co_await one();
        co_return sum;
    });
    REQUIRE(total == ten_million);
}

TEST_CASE("ten million awaits of operations that are ready do not grow the stack") {
    virtual_loop loop;
    const auto total = loop.run([]() -> task<std::int64_t> {
        channel<int> ch(1);
        std::int64_t sum = 0;
        for (int i = 0; i < ten_million / 2; ++i) {
            auto sent = co_await ch.send(1);
            static_cast<void>(sent);
            auto got = co_await ch.recv();
            sum += 2 * *got;
        }
        co_return sum;
    });
    REQUIRE(total == ten_million);
}

TEST_TASK("a chain of 100,000 nested tasks completes") {
    const int n = co_await sum_to(deep);
    REQUIRE(n == deep);
}

TEST_CASE("an exception climbs a chain of 100,000 nested tasks") {
    virtual_loop loop; // once: throwing as often takes seconds under sanitizers
    loop.run([]() -> task<> {
        int alive = 0;
        bool caught = false;
        try {
            co_await throw_at(deep, alive);
        } catch (const std::runtime_error&) {
            caught = true;
        }
        REQUIRE(caught);
        REQUIRE(alive == 0);
    });
}

TEST_TASK("a cancel unwinds a chain of 100,000 nested tasks") {
    int alive = 0;
    auto h = spawn(park_at, deep, std::ref(alive));
    co_await test_support::until_parked(h);
    REQUIRE(alive == deep + 1);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(r.error() == errc::cancelled);
    REQUIRE(alive == 0);
}

TEST_TASK("a timeout unwinds a chain of 100,000 nested tasks and the task goes on") {
    int alive = 0;
    auto r = co_await with_timeout(1ms, park_at, deep, std::ref(alive));
    REQUIRE(r.error() == errc::timed_out);
    REQUIRE(alive == 0);
}

TEST_TASK("a cancel unwinds 10,000 nested regions") {
    int alive = 0;
    auto h = spawn(park_below_boundaries, deep / 10, std::ref(alive));
    co_await test_support::until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(r.error() == errc::cancelled);
    REQUIRE(alive == 0);
}
