#include "cases.hpp"

namespace bench {
namespace {

using levada::channel;
using levada::recv_channel;
using levada::send_channel;
using levada::task;

task<> echo(recv_channel<int> in, send_channel<int> out) {
    while (auto v = co_await in.recv()) {
        auto sent = co_await out.send(*v);
        if (!sent) co_return;
    }
}

task<> ping_pong(int n, double& figure) {
    channel<int> there, back;
    auto other = levada::spawn(echo, there, back);
    int sum = 0;
    stopwatch watch;
    for (int i = 0; i < n / 2; ++i) {
        auto sent = co_await there.send(i);
        if (!sent) break;
        auto got = co_await back.recv();
        if (got) sum += *got;
    }
    figure = watch.ns_per(n);
    keep(sum);
    there.close();
    auto ended = co_await other.join();
    keep(ended.has_value());
}

task<> produce(send_channel<int> out, int n) {
    for (int i = 0; i < n; ++i) {
        auto sent = co_await out.send(i);
        if (!sent) co_return;
    }
}

task<> consume(recv_channel<int> in) {
    int sum = 0;
    while (auto v = co_await in.recv()) sum += *v;
    keep(sum);
}

template <int Senders, int Receivers, int Capacity>
task<> flow(int n, double& figure) {
    channel<int> ch(Capacity);
    levada::task_group senders, receivers;
    stopwatch watch;
    for (int i = 0; i < Senders; ++i) senders.go(produce, ch, n / Senders);
    for (int i = 0; i < Receivers; ++i) receivers.go(consume, ch);
    co_await senders.wait();
    ch.close();
    co_await receivers.wait();
    figure = watch.ns_per(n);
}

constexpr bench_case cases[] = {
    {"rendezvous ping-pong", 400'000, ping_pong, 25},
    {"rendezvous one way", 400'000, flow<1, 1, 0>},
    {"1 to 1, capacity 1", 400'000, flow<1, 1, 1>},
    {"1 to 1, capacity 64", 1'000'000, flow<1, 1, 64>, 15},
    {"1 to 1, capacity 1024", 1'000'000, flow<1, 1, 1024>, 15},
    {"4 to 1, capacity 64", 1'000'000, flow<4, 1, 64>},
    {"4 to 4, capacity 64", 1'000'000, flow<4, 4, 64>},
};

} // namespace

std::span<const bench_case> flow_cases() { return cases; }

} // namespace bench
