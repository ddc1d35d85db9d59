#include <algorithm>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/strand.hpp>

#include "cases.hpp"

namespace rival {
namespace {

template <bool S>
using handle = std::shared_ptr<typename world<S>::channel>;

template <bool S>
awaitable<void> produce(handle<S> out, int n, std::shared_ptr<std::atomic<int>> senders) {
    for (int i = 0; i < n; ++i) {
        auto [failed] = co_await out->async_send(error_code(), i, answer);
        if (failed) break;
    }
    // A close drops what is buffered only for senders; receivers drain first.
    if (senders->fetch_sub(1) == 1) out->close();
}

template <bool S>
awaitable<void> consume(handle<S> in) {
    long sum = 0;
    for (;;) {
        auto [failed, v] = co_await in->async_receive(answer);
        if (failed) break;
        sum += v;
    }
    keep(sum);
}

template <int Senders, int Receivers, int Capacity>
struct flow {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        auto ch = w.make(Capacity);
        auto left = std::make_shared<std::atomic<int>>(Senders);
        stopwatch watch;
        for (int i = 0; i < Senders; ++i) w.go(produce<S>(ch, n / Senders, left));
        for (int i = 0; i < Receivers; ++i) w.go(consume<S>(ch));
        w.run();
        return {watch.ns_per(n)};
    }
};

template <bool S>
awaitable<void> echo(handle<S> in, handle<S> out) {
    for (;;) {
        auto [failed, v] = co_await in->async_receive(answer);
        if (failed) break;
        auto [refused] = co_await out->async_send(error_code(), v, answer);
        if (refused) break;
    }
}

template <bool S>
awaitable<void> ping(handle<S> there, handle<S> back, int n) {
    long sum = 0;
    for (int i = 0; i < n / 2; ++i) {
        auto [refused] = co_await there->async_send(error_code(), i, answer);
        if (refused) break;
        auto [failed, v] = co_await back->async_receive(answer);
        if (failed) break;
        sum += v;
    }
    keep(sum);
    there->close();
}

struct ping_pong {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        auto there = w.make(0), back = w.make(0);
        stopwatch watch;
        w.go(echo<S>(there, back));
        w.go(ping<S>(there, back, n));
        w.run();
        return {watch.ns_per(n)};
    }
};

struct select_otherwise {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        auto ch = w.make(1);
        long sum = 0;
        stopwatch watch;
        for (int i = 0; i < n; ++i) sum += ch->try_receive([](error_code, int) {});
        const double ns = watch.ns_per(n);
        keep(sum);
        return {ns};
    }
};

template <bool S>
awaitable<void> receive_or_timeout(handle<S> in, int n) {
    using namespace asio::experimental::awaitable_operators;
    auto executor = co_await asio::this_coro::executor;
    for (int i = 0; i < n; ++i) {
        asio::steady_timer timer(executor, std::chrono::hours(1));
        auto first = co_await (in->async_receive(answer) || timer.async_wait(answer));
        if (first.index() == 1) break;
    }
}

template <int Capacity>
struct select_timeout {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        auto ch = w.make(Capacity);
        auto left = std::make_shared<std::atomic<int>>(2); // never closed: it counts to 1
        stopwatch watch;
        w.go(produce<S>(ch, n, left));
        // Its || shares state between the two, so on several threads it needs a strand.
        if constexpr (S)
            asio::co_spawn(asio::make_strand(w.context()), receive_or_timeout<S>(ch, n), asio::detached);
        else w.go(receive_or_timeout<S>(ch, n));
        w.run();
        return {watch.ns_per(n)};
    }
};

struct select_loses {
    template <bool S>
    static outcome run(int) {
        return {0, "a race of two receives loses values"};
    }
};

int a_microsecond(int job) { return static_cast<int>(work(static_cast<unsigned long>(job), 1000)); }

template <bool S, int (*F)(int)>
awaitable<void> worker(handle<S> jobs, handle<S> results, std::shared_ptr<std::atomic<int>> workers) {
    for (;;) {
        auto [failed, job] = co_await jobs->async_receive(answer);
        if (failed) break;
        auto [refused] = co_await results->async_send(error_code(), F(job), answer);
        if (refused) break;
    }
    if (workers->fetch_sub(1) == 1) results->close();
}

template <int (*F)(int)>
struct pool {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        auto jobs = w.make(64), results = w.make(64);
        auto one = std::make_shared<std::atomic<int>>(1), four = std::make_shared<std::atomic<int>>(4);
        stopwatch watch;
        for (int i = 0; i < 4; ++i) w.go(worker<S, F>(jobs, results, four));
        w.go(produce<S>(jobs, n, one));
        w.go(consume<S>(results));
        w.run();
        return {watch.ns_per(n)};
    }
};

int twice(int job) { return job * 2; }

template <bool S>
awaitable<void> numbers(handle<S> out) {
    for (int i = 2;; ++i) {
        auto [refused] = co_await out->async_send(error_code(), i, answer);
        if (refused) break;
    }
}

template <bool S>
awaitable<void> filter(handle<S> in, handle<S> out, int prime) {
    for (;;) {
        auto [failed, v] = co_await in->async_receive(answer);
        if (failed) break;
        if (v % prime == 0) continue;
        auto [refused] = co_await out->async_send(error_code(), v, answer);
        if (refused) break;
    }
}

template <bool S>
awaitable<void> primes(world<S>& w, int n, double& ms) {
    stopwatch watch;
    handle<S> in = w.make(0);
    w.go(numbers<S>(in));
    for (int i = 0; i < n; ++i) {
        auto [failed, prime] = co_await in->async_receive(answer);
        if (failed) break;
        handle<S> out = w.make(0);
        w.go(filter<S>(in, out, prime));
        in = out;
    }
    ms = watch.ns() / 1e6;
    w.context().stop();
}

struct sieve {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        double ms = 0;
        w.go(primes<S>(w, n, ms));
        w.run();
        return {ms};
    }
};

template <bool S>
awaitable<void> node(world<S>& w, int first, int leaves, handle<S> to) {
    int sum = first & 0xff; // so that no sum overflows
    if (leaves > 1) {
        handle<S> from = w.make(0);
        const int share = leaves / 10;
        for (int i = 0; i < 10; ++i) w.go(node<S>(w, first + i * share, share, from));
        sum = 0;
        for (int i = 0; i < 10; ++i) {
            auto [failed, part] = co_await from->async_receive(answer);
            if (failed) break;
            sum += part;
        }
    }
    auto [refused] = co_await to->async_send(error_code(), sum, answer);
    keep(refused.value());
}

struct skynet {
    template <bool S>
    static outcome run(int n) {
        int leaves = 1;
        while (leaves * 10 <= n) leaves *= 10;
        world<S> w;
        auto to = w.make(1);
        stopwatch watch;
        w.go(node<S>(w, 0, leaves, to));
        w.run();
        return {watch.ns_per(leaves)};
    }
};

constexpr int burst = 100;

template <bool S>
awaitable<void> bursts(handle<S> ch, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        for (int j = 0; j < burst; ++j) {
            auto [refused] = co_await ch->async_send(error_code(), j, answer);
            if (refused) co_return;
        }
        for (int j = 0; j < burst; ++j) {
            auto [failed, v] = co_await ch->async_receive(answer);
            if (failed) co_return;
        }
    }
}

template <bool Shared>
struct in_bursts {
    template <bool S>
    static outcome run(int n) {
        const int threads = how().threads, rounds = std::max(1, n / burst / threads);
        world<S> w;
        auto shared = w.make(static_cast<std::size_t>(burst * threads));
        stopwatch watch;
        for (int i = 0; i < threads; ++i) w.go(bursts<S>(Shared ? shared : w.make(burst), rounds));
        w.run();
        return {watch.ns_per(rounds * threads * burst)};
    }
};

template <bool S>
awaitable<void> take_and_give_back(handle<S> places, int n) {
    for (int i = 0; i < n; ++i) {
        auto [refused] = co_await places->async_send(error_code(), 0, answer);
        if (refused) co_return;
        auto [failed, v] = co_await places->async_receive(answer);
        if (failed) co_return;
    }
}

struct semaphore {
    template <bool S>
    static outcome run(int n) {
        const int threads = how().threads, share = std::max(1, n / threads);
        world<S> w;
        auto places = w.make(static_cast<std::size_t>(threads));
        stopwatch watch;
        for (int i = 0; i < threads; ++i) w.go(take_and_give_back<S>(places, share));
        w.run();
        return {watch.ns_per(share * threads)};
    }
};

template <bool S>
awaitable<void> work_and_send(handle<S> out, int n, int steps) {
    unsigned long x = 1;
    for (int i = 0; i < n; ++i) {
        x = work(x, steps);
        auto [refused] = co_await out->async_send(error_code(), 1, answer);
        if (refused) co_return;
    }
    keep(static_cast<long>(x));
    auto [refused] = co_await out->async_send(error_code(), 0, answer); // ends one consumer
    keep(refused.value());
}

template <bool S>
awaitable<void> receive_and_work(handle<S> in, int steps) {
    unsigned long x = 1;
    for (;;) {
        auto [failed, v] = co_await in->async_receive(answer);
        if (failed || v == 0) break;
        x = work(x, steps);
    }
    keep(static_cast<long>(x));
}

template <int Capacity, int Steps>
struct prod_cons {
    template <bool S>
    static outcome run(int n) {
        const int threads = how().threads, share = std::max(1, n / threads);
        world<S> w;
        auto ch = w.make(Capacity);
        stopwatch watch;
        for (int i = 0; i < threads; ++i) {
            w.go(work_and_send<S>(ch, share, Steps));
            w.go(receive_and_work<S>(ch, Steps));
        }
        w.run();
        return {watch.ns_per(share * threads)};
    }
};

template <bool S>
awaitable<void> sync_side(handle<S> ch, int n, int sends) {
    for (int i = 0; i < n; ++i) {
        if (i % 2 == sends) {
            auto [refused] = co_await ch->async_send(error_code(), i, answer);
            if (refused) co_return;
        } else {
            auto [failed, v] = co_await ch->async_receive(answer);
            if (failed) co_return;
        }
    }
}

struct chan_sync {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        auto ch = w.make(0);
        stopwatch watch;
        w.go(sync_side<S>(ch, n, 0));
        w.go(sync_side<S>(ch, n, 1));
        w.run();
        return {watch.ns_per(n)};
    }
};

struct select_nonblock {
    template <bool S>
    static outcome run(int n) {
        world<S> w;
        auto a = w.make(0), b = w.make(0), c = w.make(1), d = w.make(1);
        const auto ignore = [](error_code, int) {};
        const int rounds = std::max(1, n / 4);
        long sum = 0;
        stopwatch watch;
        for (int i = 0; i < rounds; ++i) {
            sum += a->try_receive(ignore);
            sum += b->try_send(error_code(), 0);
            sum += c->try_receive(ignore);
            sum += d->try_send(error_code(), 0);
        }
        const double ns = watch.ns_per(rounds * 4);
        keep(sum);
        return {ns};
    }
};

struct hog {
    template <bool S>
    static outcome run(int) {
        return {0, "a task that does not await holds its thread"};
    }
};

constexpr bench_case cases[] = {
    make<ping_pong>("rendezvous ping-pong", 400'000),
    make<flow<1, 1, 0>>("rendezvous one way", 400'000),
    make<flow<1, 1, 1>>("1 to 1, capacity 1", 400'000),
    make<flow<1, 1, 64>>("1 to 1, capacity 64", 1'000'000),
    make<flow<1, 1, 1024>>("1 to 1, capacity 1024", 1'000'000),
    make<flow<4, 1, 64>>("4 to 1, capacity 64", 1'000'000),
    make<flow<4, 4, 64>>("4 to 4, capacity 64", 1'000'000),
    make<select_loses>("select, 2 ready", 400'000),
    make<select_loses>("select, 2 fed in turns", 400'000),
    make<select_loses>("select, 2 fed in turns, parks", 200'000),
    make<select_loses>("select, 8 fed in turns", 200'000),
    make<select_otherwise>("select, otherwise, empty", 1'000'000),
    make<select_timeout<64>>("select, timeout, ready", 200'000),
    make<select_timeout<0>>("select, timeout, parks", 200'000),
    make<pool<twice>>("worker pool of 4", 1'000'000),
    make<pool<a_microsecond>>("worker pool of 4, 1 us of work a job", 1'000'000),
    make<sieve>("prime sieve, 2000 primes, ms", 2'000),
    make<skynet>("skynet, a million leaves", 1'000'000),
    make<chan_sync>("ChanSync", 400'000),
    make<prod_cons<0, 0>>("ChanProdCons0", 400'000),
    make<prod_cons<10, 0>>("ChanProdCons10", 1'000'000),
    make<prod_cons<100, 0>>("ChanProdCons100", 1'000'000),
    make<prod_cons<0, 100>>("ChanProdConsWork0", 400'000),
    make<prod_cons<10, 100>>("ChanProdConsWork10", 400'000),
    make<prod_cons<100, 100>>("ChanProdConsWork100", 400'000),
    make<in_bursts<false>>("ChanUncontended", 2'000'000),
    make<in_bursts<true>>("ChanContended", 2'000'000),
    make<select_loses>("SelectUncontended", 1'000'000),
    make<select_loses>("SelectSyncContended", 200'000),
    make<select_loses>("SelectAsyncContended", 1'000'000),
    make<select_nonblock>("SelectNonblock", 4'000'000),
    make<select_loses>("SelectProdCons", 200'000),
    make<select_loses>("ChanPopular", 200'000),
    make<semaphore>("ChanSem", 1'000'000),
    make<hog>("PingPongHog", 50'000),
};

} // namespace

std::span<const bench_case> channel_cases() { return cases; }

} // namespace rival
