#include <algorithm>
#include <chrono>

#include "cases.hpp"

namespace rival {
namespace {

awaitable<void> count(std::atomic<int>& done) {
    done.fetch_add(1, std::memory_order_relaxed);
    co_return;
}

awaitable<void> join_each(int n, std::atomic<int>& done) {
    auto executor = co_await asio::this_coro::executor;
    for (int i = 0; i < n; ++i) co_await asio::co_spawn(executor, count(done), asio::use_awaitable);
}

struct spawn_and_join {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        std::atomic<int> done = 0;
        stopwatch watch;
        w.go(join_each(n, done));
        w.run();
        return {watch.ns_per(n)};
    }
};

struct spawn_all {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        std::atomic<int> done = 0;
        stopwatch watch;
        for (int i = 0; i < n; ++i) w.go(count(done));
        w.run();
        return {watch.ns_per(n)};
    }
};

template <bool S>
awaitable<void> wait_on(std::shared_ptr<typename world<S>::channel> ch) {
    auto [failed, v] = co_await ch->async_receive(answer);
    keep(failed.value());
}

struct parked {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        auto ch = w.make(0);
        const double before = resident_bytes();
        for (int i = 0; i < n; ++i) w.go(wait_on<S>(ch));
        w.context().poll();
        const double bytes = std::max(0.0, resident_bytes() - before);
        ch->close();
        w.run();
        return {bytes / n};
    }
};

awaitable<void> wait_for(asio::steady_timer& token) {
    auto [cancelled] = co_await token.async_wait(answer);
    keep(cancelled.value());
}

struct cancel {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        asio::steady_timer token(w.context(), std::chrono::hours(1)); // its way to wake many at once
        for (int i = 0; i < n; ++i) w.go(wait_for(token));
        w.context().poll();
        stopwatch watch;
        token.cancel();
        w.run();
        return {watch.ns_per(n)};
    }
};

awaitable<void> nap(int ms) {
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(ms));
    auto [failed] = co_await timer.async_wait(answer);
    keep(failed.value());
}

struct sleeps {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        stopwatch watch;
        for (int i = 0; i < n; ++i) w.go(nap(1 + i % 100));
        w.run();
        return {watch.ns_per(n)};
    }
};

struct timers {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        long made = 0;
        stopwatch watch;
        for (int i = 0; i < n; ++i) {
            asio::steady_timer timer(w.context(), std::chrono::hours(1));
            timer.async_wait([&made](error_code) { ++made; });
            timer.cancel();
            if (i % 1000 == 0) w.context().poll();
        }
        w.run();
        keep(made);
        return {watch.ns_per(n)};
    }
};

struct uncounted {
    template <bool S>
    static outcome run(int) {
        return {0, "it does not count its own memory"};
    }
};

struct as_spawn {
    template <bool S>
    static outcome run(int) {
        return {0, "co_spawn is all it has: see spawn and join"};
    }
};

constexpr bench_case cases[] = {
    make<parked>("a million parked tasks, bytes each", 1'000'000),
    make<uncounted>("parked task, bytes", 100'000),
    make<as_spawn>("go and finish", 200'000),
    make<spawn_and_join>("spawn and join", 200'000),
    make<spawn_all>("spawn a million tasks, join all", 1'000'000),
    make<as_spawn>("group go and finish", 200'000),
    make<sleeps>("a million sleeps of 1 to 100 ms", 1'000'000),
    make<timers>("timer made and dropped", 5'000'000),
    make<cancel>("cancel 100000 waiting tasks", 100'000),
};

} // namespace

std::span<const bench_case> task_cases() { return cases; }

} // namespace rival
