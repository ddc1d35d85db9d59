// What the benchmarks of Go's runtime (chan_test.go and, for the hog, proc_test.go) measure, under their
// names. Where Go's start a goroutine for each processor, these start a task for each thread. A figure is for
// one message or select, where theirs is for a round of several.

#include <algorithm>
#include <atomic>
#include <functional>
#include <vector>

#include "cases.hpp"

namespace bench {
namespace {

using levada::channel;
using levada::recv_channel;
using levada::select;
using levada::send_channel;
using levada::task;

/// Runs `f(args...)` once for each thread, and waits for all.
template <class F, class... A>
task<> on_each_thread(F f, A... args) {
    levada::task_group group;
    for (int i = 0; i < threads(); ++i) group.go(f, args...);
    co_await group.wait();
}

task<> sync_side(channel<int> ch, int n, bool sends_first) {
    for (int i = 0; i < n; ++i) {
        const bool sends = (i % 2 == 0) == sends_first;
        if (sends) {
            auto sent = co_await ch.send(i);
            if (!sent) co_return;
        } else {
            auto got = co_await ch.recv();
            if (!got) co_return;
        }
    }
}

task<> chan_sync(int n, double& figure) {
    channel<int> ch;
    levada::task_group group;
    stopwatch watch;
    group.go(sync_side, ch, n, true);
    group.go(sync_side, ch, n, false);
    co_await group.wait();
    figure = watch.ns_per(n);
}

/// Messages to be sent, which several producers take by the thousand.
class supply {
public:
    static constexpr int batch = 1000;
    explicit supply(int n) : all_(std::max(1, n / batch)), left_(all_) {}
    [[nodiscard]] bool take() noexcept { return left_.fetch_sub(1, std::memory_order_relaxed) > 0; }
    [[nodiscard]] int messages() const noexcept { return all_ * batch; }

private:
    int all_;
    std::atomic<int> left_;
};

task<> produce(send_channel<int> out, supply& messages, int steps) {
    unsigned long x = 1;
    while (messages.take()) {
        for (int i = 0; i < supply::batch; ++i) {
            x = work(x, steps);
            auto sent = co_await out.send(1);
            if (!sent) co_return;
        }
    }
    keep(static_cast<int>(x));
    auto sent = co_await out.send(0); // ends one consumer
    keep(sent.has_value());
}

task<> consume(recv_channel<int> in, int steps) {
    unsigned long x = 1;
    for (;;) {
        auto v = co_await in.recv();
        if (!v || *v == 0) break;
        x = work(x, steps);
    }
    keep(static_cast<int>(x));
}

template <int Capacity, int Steps>
task<> prod_cons(int n, double& figure) {
    channel<int> ch(Capacity);
    supply messages(n);
    levada::task_group group;
    stopwatch watch;
    for (int i = 0; i < threads(); ++i) {
        group.go(produce, ch, std::ref(messages), Steps);
        group.go(consume, ch, Steps);
    }
    co_await group.wait();
    figure = watch.ns_per(messages.messages());
}

task<> select_produce(send_channel<int> out, channel<int> timer, channel<int> closing, supply& messages) {
    unsigned long x = 1;
    while (messages.take()) {
        for (int i = 0; i < supply::batch; ++i) {
            x = work(x, 100);
            auto s = co_await select(out.send(1), timer.recv(), closing.recv());
            if (s.index() != 0) co_return;
        }
    }
    keep(static_cast<int>(x));
    auto sent = co_await out.send(0);
    keep(sent.has_value());
}

task<> select_consume(recv_channel<int> in, channel<int> timer, channel<int> closing) {
    unsigned long x = 1;
    for (;;) {
        auto s = co_await select(in.recv(), timer.recv(), closing.recv());
        auto* v = levada::get_if<0>(s);
        if (!v || !*v || **v == 0) break;
        x = work(x, 100);
    }
    keep(static_cast<int>(x));
}

task<> select_prod_cons(int n, double& figure) {
    channel<int> ch(128), timer, closing(1);
    supply messages(n);
    levada::task_group group;
    stopwatch watch;
    for (int i = 0; i < threads(); ++i) {
        group.go(select_produce, ch, timer, closing, std::ref(messages));
        group.go(select_consume, ch, timer, closing);
    }
    co_await group.wait();
    figure = watch.ns_per(messages.messages());
}

constexpr int burst = 100;

/// Sends a burst and receives one, `rounds` times.
task<> bursts(channel<int> ch, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        for (int j = 0; j < burst; ++j) {
            auto sent = co_await ch.send(j);
            if (!sent) co_return;
        }
        for (int j = 0; j < burst; ++j) {
            auto got = co_await ch.recv();
            if (!got) co_return;
        }
    }
}

int rounds_each(int n) { return std::max(1, n / burst / threads()); }

task<> own_bursts(int rounds) {
    channel<int> ch(burst);
    co_await bursts(ch, rounds);
}

task<> chan_uncontended(int n, double& figure) {
    const int rounds = rounds_each(n);
    stopwatch watch;
    co_await on_each_thread(own_bursts, rounds);
    figure = watch.ns_per(rounds * threads() * burst);
}

task<> chan_contended(int n, double& figure) {
    const int rounds = rounds_each(n);
    channel<int> ch(static_cast<std::size_t>(burst * threads()));
    stopwatch watch;
    co_await on_each_thread(bursts, ch, rounds);
    figure = watch.ns_per(rounds * threads() * burst);
}

task<> pass_round(channel<int> a, channel<int> b, int n) {
    auto first = co_await a.send(0);
    keep(first.has_value());
    for (int i = 0; i < n; ++i) {
        auto s = co_await select(a.recv(), b.recv());
        if (s.index() == 0) {
            auto sent = co_await b.send(0);
            if (!sent) co_return;
        } else {
            auto sent = co_await a.send(0);
            if (!sent) co_return;
        }
    }
}

task<> pass_round_alone(int n) {
    channel<int> a(1), b(1);
    co_await pass_round(a, b, n);
}

int each(int n) { return std::max(1, n / threads()); }

task<> select_uncontended(int n, double& figure) {
    const int share = each(n);
    stopwatch watch;
    co_await on_each_thread(pass_round_alone, share);
    figure = watch.ns_per(share * threads());
}

task<> select_async_contended(int n, double& figure) {
    const int share = each(n);
    const auto room = static_cast<std::size_t>(threads());
    channel<int> a(room), b(room);
    stopwatch watch;
    co_await on_each_thread(pass_round, a, b, share);
    figure = watch.ns_per(share * threads());
}

task<> send_to_any(channel<int> a, channel<int> b, channel<int> c, channel<int> done) {
    for (;;) {
        auto s = co_await select(a.send(0), b.send(0), c.send(0), done.recv());
        if (s.index() == 3) co_return;
    }
}

task<> recv_from_any(channel<int> a, channel<int> b, channel<int> c, int n) {
    for (int i = 0; i < n; ++i) {
        auto s = co_await select(a.recv(), b.recv(), c.recv());
        if (s.index() > 2) co_return;
    }
}

task<> select_sync_contended(int n, double& figure) {
    const int share = each(n);
    channel<int> a, b, c, done;
    levada::task_group senders;
    for (int i = 0; i < threads(); ++i) senders.go(send_to_any, a, b, c, done);
    stopwatch watch;
    co_await on_each_thread(recv_from_any, a, b, c, share);
    figure = watch.ns_per(share * threads());
    done.close();
    co_await senders.wait();
}

task<> select_nonblock(int n, double& figure) {
    channel<int> a, b, c(1), d(1);
    const int rounds = std::max(1, n / 4);
    std::size_t sum = 0;
    stopwatch watch;
    for (int i = 0; i < rounds; ++i) {
        auto recv = co_await select(a.recv(), levada::otherwise);
        auto send = co_await select(b.send(0), levada::otherwise);
        auto recv_buffered = co_await select(c.recv(), levada::otherwise);
        auto send_buffered = co_await select(d.send(0), levada::otherwise);
        sum += recv.index() + send.index() + recv_buffered.index() + send_buffered.index();
    }
    figure = watch.ns_per(rounds * 4);
    keep(static_cast<int>(sum));
}

task<> popular(recv_channel<int> shared, recv_channel<int> own, int n) {
    for (int i = 0; i < n; ++i) {
        auto s = co_await select(shared.recv(), own.recv());
        if (s.index() != 1) co_return;
    }
}

/// A thousand tasks that all select on one channel, on which nothing comes, and on one each, on which it
/// does.
task<> chan_popular(int n, double& figure) {
    const int tasks = std::min(1000, n), rounds = std::max(1, n / tasks);
    channel<int> shared;
    std::vector<channel<int>> own(static_cast<std::size_t>(tasks));
    for (auto& ch : own) ch = channel<int>();
    levada::task_group group;
    for (auto& ch : own) group.go(popular, shared, ch, rounds);
    stopwatch watch;
    for (int i = 0; i < rounds; ++i) {
        for (auto& ch : own) {
            auto sent = co_await ch.send(1);
            if (!sent) co_return;
        }
    }
    co_await group.wait();
    figure = watch.ns_per(rounds * tasks);
}

task<> take_and_give_back(channel<int> places, int n) {
    for (int i = 0; i < n; ++i) {
        auto taken = co_await places.send(0);
        if (!taken) co_return;
        auto given = co_await places.recv();
        if (!given) co_return;
    }
}

task<> chan_sem(int n, double& figure) {
    const int share = each(n);
    channel<int> places(static_cast<std::size_t>(threads()));
    stopwatch watch;
    co_await on_each_thread(take_and_give_back, places, share);
    figure = watch.ns_per(share * threads());
}

task<> hog(recv_channel<int> stop) {
    for (;;) {
        auto s = co_await select(stop.recv(), levada::otherwise);
        if (s.index() == 0) co_return;
    }
}

task<> pong(recv_channel<int> ping, send_channel<int> back) {
    while (auto v = co_await ping.recv()) {
        auto sent = co_await back.send(*v);
        if (!sent) co_return;
    }
}

task<> ping_pong_hog(int n, double& figure) {
    channel<int> stop, there, back;
    levada::task_group group;
    group.go(hog, stop);
    group.go(pong, there, back);
    stopwatch watch;
    for (int i = 0; i < n / 2; ++i) {
        auto sent = co_await there.send(i);
        if (!sent) break;
        auto got = co_await back.recv();
        if (!got) break;
    }
    figure = watch.ns_per(n);
    stop.close();
    there.close();
    co_await group.wait();
}

constexpr bench_case cases[] = {
    {"ChanSync", 400'000, chan_sync},
    {"ChanProdCons0", 400'000, prod_cons<0, 0>},
    {"ChanProdCons10", 1'000'000, prod_cons<10, 0>},
    {"ChanProdCons100", 1'000'000, prod_cons<100, 0>},
    {"ChanProdConsWork0", 400'000, prod_cons<0, 100>},
    {"ChanProdConsWork10", 400'000, prod_cons<10, 100>},
    {"ChanProdConsWork100", 400'000, prod_cons<100, 100>},
    {"ChanUncontended", 2'000'000, chan_uncontended},
    {"ChanContended", 2'000'000, chan_contended},
    {"SelectUncontended", 1'000'000, select_uncontended},
    {"SelectSyncContended", 200'000, select_sync_contended},
    {"SelectAsyncContended", 1'000'000, select_async_contended},
    {"SelectNonblock", 4'000'000, select_nonblock},
    {"SelectProdCons", 200'000, select_prod_cons},
    {"ChanPopular", 200'000, chan_popular},
    {"ChanSem", 1'000'000, chan_sem},
    {"PingPongHog", 50'000, ping_pong_hog},
};

} // namespace

std::span<const bench_case> go_cases() { return cases; }

} // namespace bench
