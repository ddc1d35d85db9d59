#include "cases.hpp"

namespace bench {
namespace {

using levada::channel;
using levada::recv_channel;
using levada::send_channel;
using levada::task;

task<> make_jobs(send_channel<int> jobs, int n) {
    for (int i = 0; i < n; ++i) {
        auto sent = co_await jobs.send(i);
        if (!sent) co_return;
    }
    jobs.close();
}

int twice(int job) { return job * 2; }
int a_microsecond(int job) { return static_cast<int>(work(static_cast<unsigned long>(job), 1000)); }

template <int (*F)(int)>
task<> run_pool(channel<int> jobs, channel<int> results) {
    co_await levada::worker_pool(4, jobs, results, F);
}

template <int (*F)(int)>
task<> pool_of_4(int n, double& figure) {
    channel<int> jobs(64), results(64);
    int sum = 0;
    stopwatch watch;
    levada::task_group group;
    group.go(run_pool<F>, jobs, results);
    group.go(make_jobs, jobs, n);
    while (auto r = co_await results.recv()) sum ^= *r;
    co_await group.wait();
    figure = watch.ns_per(n);
    keep(sum);
}

task<> numbers(send_channel<int> out) {
    for (int i = 2;; ++i) {
        auto sent = co_await out.send(i);
        if (!sent) co_return;
    }
}

task<> filter(recv_channel<int> in, send_channel<int> out, int prime) {
    while (auto v = co_await in.recv()) {
        if (*v % prime == 0) continue;
        auto sent = co_await out.send(*v);
        if (!sent) co_return;
    }
}

task<> sieve(int n, double& figure) {
    levada::task_group group;
    channel<int> in;
    stopwatch watch;
    group.go(numbers, in);
    for (int i = 0; i < n; ++i) {
        auto prime = co_await in.recv();
        if (!prime) break;
        channel<int> out;
        group.go(filter, in, out, *prime);
        in = out;
    }
    figure = watch.ns() / 1e6;
    group.cancel();
    co_await group.wait();
}

task<> node(int first, int leaves, send_channel<int> to) {
    unsigned sum = static_cast<unsigned>(first); // of all numbers below a million, which wraps round
    if (leaves > 1) {
        channel<int> from;
        const int share = leaves / 10;
        for (int i = 0; i < 10; ++i) levada::go(node, first + i * share, share, from);
        sum = 0;
        for (int i = 0; i < 10; ++i) {
            auto part = co_await from.recv();
            if (part) sum += static_cast<unsigned>(*part);
        }
    }
    auto sent = co_await to.send(static_cast<int>(sum));
    keep(sent.has_value());
}

task<> skynet(int n, double& figure) {
    int leaves = 1;
    while (leaves * 10 <= n) leaves *= 10;
    channel<int> to;
    stopwatch watch;
    levada::go(node, 0, leaves, to);
    auto sum = co_await to.recv();
    figure = watch.ns_per(leaves);
    if (sum) keep(*sum);
}

constexpr bench_case cases[] = {
    {"worker pool of 4", 1'000'000, pool_of_4<twice>},
    {"worker pool of 4, 1 us of work a job", 1'000'000, pool_of_4<a_microsecond>},
    {"prime sieve, 2000 primes, ms", 2'000, sieve},
    {"skynet, a million leaves", 1'000'000, skynet},
};

} // namespace

std::span<const bench_case> pattern_cases() { return cases; }

} // namespace bench
