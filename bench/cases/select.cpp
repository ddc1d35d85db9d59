#include <chrono>
#include <cstddef>
#include <vector>

#include "cases.hpp"

namespace bench {
namespace {

using levada::channel;
using levada::task;
using namespace std::chrono_literals;

void fill(channel<int>& ch) {
    while (ch.try_send(1)) {
    }
}

task<> select_ready(int n, double& figure) {
    constexpr int batch = 2000;
    channel<int> a(batch), b(batch);
    double total = 0;
    int done = 0, sum = 0;
    for (; done < n; done += batch) {
        fill(a);
        fill(b);
        stopwatch watch;
        for (int i = 0; i < batch; ++i) {
            auto s = co_await levada::select(a.recv(), b.recv());
            sum += s.index() == 0 ? **levada::get_if<0>(s) : **levada::get_if<1>(s);
        }
        total += watch.ns();
    }
    figure = total / done;
    keep(sum);
}

using channels = std::vector<channel<int>>;

channels make_channels(int k, std::size_t capacity) {
    channels made;
    for (int i = 0; i < k; ++i) made.emplace_back(capacity);
    return made;
}

task<> feed(channels to, int n) {
    std::size_t at = 0;
    for (int i = 0; i < n; ++i) {
        auto sent = co_await to[at].send(i);
        if (!sent) co_return;
        if (++at == to.size()) at = 0;
    }
}

template <int Capacity>
task<> select_fed_2(int n, double& figure) {
    const channels chs = make_channels(2, Capacity);
    const channel<int> a = chs[0], b = chs[1];
    int sum = 0;
    stopwatch watch;
    auto feeder = levada::spawn(feed, chs, n);
    for (int i = 0; i < n; ++i) {
        auto s = co_await levada::select(a.recv(), b.recv());
        sum += static_cast<int>(s.index());
    }
    figure = watch.ns_per(n);
    keep(sum);
    auto ended = co_await feeder.join();
    keep(ended.has_value());
}

task<> select_fed_8(int n, double& figure) {
    const channels c = make_channels(8, 64);
    int sum = 0;
    stopwatch watch;
    auto feeder = levada::spawn(feed, c, n);
    for (int i = 0; i < n; ++i) {
        auto s = co_await levada::select(c[0].recv(), c[1].recv(), c[2].recv(), c[3].recv(), c[4].recv(),
                                         c[5].recv(), c[6].recv(), c[7].recv());
        sum += static_cast<int>(s.index());
    }
    figure = watch.ns_per(n);
    keep(sum);
    auto ended = co_await feeder.join();
    keep(ended.has_value());
}

task<> select_otherwise(int n, double& figure) {
    channel<int> ch;
    int sum = 0;
    stopwatch watch;
    for (int i = 0; i < n; ++i) {
        auto s = co_await levada::select(ch.recv(), levada::otherwise);
        sum += static_cast<int>(s.index());
    }
    figure = watch.ns_per(n);
    keep(sum);
}

template <int Capacity>
task<> select_timeout(int n, double& figure) {
    const channels chs = make_channels(1, Capacity);
    const channel<int> ch = chs[0];
    int sum = 0;
    stopwatch watch;
    auto feeder = levada::spawn(feed, chs, n);
    for (int i = 0; i < n; ++i) {
        auto s = co_await levada::select(ch.recv(), levada::after(1h));
        sum += static_cast<int>(s.index());
    }
    figure = watch.ns_per(n);
    keep(sum);
    auto ended = co_await feeder.join();
    keep(ended.has_value());
}

// Pairs that send and receive beside a token's `done()`: each task with a token of its own, or one for all.
template <bool Shared>
task<> select_done(int n, double& figure) {
    constexpr int pairs = 8;
    levada::cancel_source one;
    std::vector<levada::cancel_source> own(2 * pairs);
    const auto token = [&](int i) { return Shared ? one.token() : own[static_cast<std::size_t>(i)].token(); };
    const int each = n / pairs;
    stopwatch watch;
    co_await levada::with_group([&](levada::task_group& g) -> task<> {
        for (int i = 0; i < pairs; ++i) {
            const channel<int> ch;
            g.go([each, ch, until = token(2 * i)]() -> task<> {
                for (int k = 0; k < each; ++k) {
                    auto s = co_await levada::select(ch.send(k), until.done());
                    keep(static_cast<int>(s.index()));
                }
                ch.close();
            });
            g.go([ch, until = token(2 * i + 1)]() -> task<> {
                for (bool open = true; open;) {
                    auto s = co_await levada::select(ch.recv(), until.done());
                    open = s.index() == 0 && levada::get<0>(s).has_value();
                }
            });
        }
        co_return;
    });
    figure = watch.ns_per(each * pairs);
}

constexpr bench_case cases[] = {
    {"select, 2 ready", 400'000, select_ready, 35},
    {"select, 2 fed in turns", 400'000, select_fed_2<64>},
    {"select, 2 fed in turns, parks", 200'000, select_fed_2<0>},
    {"select, 8 fed in turns", 200'000, select_fed_8},
    {"select, otherwise, empty", 1'000'000, select_otherwise},
    {"select, timeout, ready", 200'000, select_timeout<64>},
    {"select, timeout, parks", 200'000, select_timeout<0>},
    {"select beside a token of its own", 200'000, select_done<false>},
    {"select beside one token for all", 200'000, select_done<true>},
};

} // namespace

std::span<const bench_case> select_cases() { return cases; }

} // namespace bench
