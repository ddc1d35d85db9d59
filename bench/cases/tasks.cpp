#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <vector>

#include "../lib/process.hpp"
#include "cases.hpp"

namespace bench {
namespace {

using levada::channel;
using levada::recv_channel;
using levada::task;
using namespace std::chrono_literals;

using counter = std::atomic<int>; // of what tasks of several loops have done

constexpr int spawn_batch = 100;

task<> count(counter& done) {
    done.fetch_add(1, std::memory_order_relaxed);
    co_return;
}

task<> until(const counter& done, int n) {
    while (done.load(std::memory_order_relaxed) < n) co_await levada::this_task::yield();
}

task<> go_and_finish(int n, double& figure) {
    int started = 0;
    counter done = 0;
    stopwatch watch;
    while (started < n) {
        for (int i = 0; i < spawn_batch; ++i) levada::go(count, std::ref(done));
        started += spawn_batch;
        co_await until(done, started);
    }
    figure = watch.ns_per(started);
}

task<> spawn_and_join(int n, double& figure) {
    counter done = 0;
    stopwatch watch;
    for (int i = 0; i < n; ++i) {
        auto h = levada::spawn(count, std::ref(done));
        auto ended = co_await h.join();
        if (!ended) break;
    }
    figure = watch.ns_per(n);
}

task<> spawn_all_and_join(int n, double& figure) {
    counter done = 0;
    stopwatch watch;
    std::vector<levada::join_handle<>> handles;
    for (int i = 0; i < n; ++i) handles.push_back(levada::spawn(count, std::ref(done)));
    for (auto& h : handles) {
        auto ended = co_await h.join();
        if (!ended) break;
    }
    figure = watch.ns_per(n);
}

task<> group_go(int n, double& figure) {
    levada::task_group group;
    int started = 0;
    counter done = 0;
    stopwatch watch;
    for (; started < n; started += spawn_batch) {
        for (int i = 0; i < spawn_batch; ++i) group.go(count, std::ref(done));
        co_await group.wait();
    }
    figure = watch.ns_per(started);
}

// Not arguments, which would count in the memory of a task.
counter begun = 0, ended = 0;

task<> wait_on(recv_channel<int> ch) {
    begun.fetch_add(1, std::memory_order_relaxed);
    auto v = co_await ch.recv();
    if (v) keep(*v);
    ended.fetch_add(1, std::memory_order_relaxed);
}

/// What `n` tasks that wait take, as `bytes` has it.
template <class Bytes>
task<> park(int n, double& figure, Bytes bytes) {
    channel<int> ch;
    begun = ended = 0;
    const double before = bytes();
    for (int i = 0; i < n; ++i) levada::go(wait_on, recv_channel<int>(ch));
    co_await until(begun, n);
    figure = std::max(0.0, bytes() - before) / n;
    ch.close();
    co_await until(ended, n);
}

task<> parked_bytes(int n, double& figure) {
    return park(n, figure, [] { return static_cast<double>(levada::frame_pool::live_bytes()); });
}

task<> parked_resident(int n, double& figure) { return park(n, figure, resident_bytes); }

task<> cancel_waiting(int n, double& figure) {
    channel<int> ch;
    levada::task_group group;
    begun = 0;
    for (int i = 0; i < n; ++i) group.go(wait_on, recv_channel<int>(ch));
    co_await until(begun, n);
    co_await levada::this_task::yield();
    stopwatch watch;
    group.cancel();
    co_await group.wait();
    figure = watch.ns_per(n);
}

task<> nap(int ms) { co_await levada::sleep_for(std::chrono::milliseconds(ms)); }

task<> sleeps(int n, double& figure) {
    levada::task_group group;
    stopwatch watch;
    for (int i = 0; i < n; ++i) group.go(nap, 1 + i % 100);
    co_await group.wait();
    figure = watch.ns_per(n);
}

int nothing() { return 1; }

task<> timers(int n, double& figure) {
    int sum = 0;
    stopwatch watch;
    for (int i = 0; i < n; ++i) {
        auto done = co_await levada::with_timeout(1h, nothing);
        if (done) sum += *done;
    }
    figure = watch.ns_per(n);
    keep(sum);
}

#ifdef __clang__
constexpr double parked_limit = 256;
#else
constexpr double parked_limit = 320;
#endif

constexpr bench_case cases[] = {
    {"a million parked tasks, bytes each", 1'000'000, parked_resident, 0, true},
    {"parked task, bytes", 100'000, parked_bytes, parked_limit},
    {"go and finish", 200'000, go_and_finish, 60},
    {"spawn and join", 200'000, spawn_and_join},
    {"spawn a million tasks, join all", 1'000'000, spawn_all_and_join},
    {"group go and finish", 200'000, group_go},
    {"a million sleeps of 1 to 100 ms", 1'000'000, sleeps},
    {"timer made and dropped", 5'000'000, timers},
    {"cancel 100000 waiting tasks", 100'000, cancel_waiting},
};

} // namespace

std::span<const bench_case> task_cases() { return cases; }

} // namespace bench
