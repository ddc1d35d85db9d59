// Stages joined by channels, gen -> sq (twice) -> merge, and how a cancel stops them all: Go's "Pipelines".

#include <cstdio>
#include <set>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;

namespace {

task<> gen(int last, send_channel<int> out) {
    for (int i = 1; i <= last; ++i) co_await or_throw(out.send(i));
    out.close();
}

task<> sq(recv_channel<int> in, send_channel<int> out) {
    while (auto n = co_await in.recv()) co_await or_throw(out.send(*n * *n));
    out.close();
}

task<> merge(std::vector<recv_channel<int>> inputs, send_channel<int> out) {
    co_await with_group([&](task_group& g) -> task<> {
        for (const auto& in : inputs) {
            g.go(
                [](recv_channel<int> from, send_channel<int> to) -> task<> {
                    while (auto n = co_await from.recv()) co_await or_throw(to.send(*n));
                },
                in, out);
        }
        co_return;
    });
    out.close(); // all inputs are drained
}

// Starts the stages in `g` and gives their end.
recv_channel<int> squares(int last, task_group& g) {
    channel<int> numbers, a, b, all;
    g.go(gen, last, numbers);
    g.go(sq, numbers, a); // both sq receive from numbers
    g.go(sq, numbers, b);
    g.go(merge, std::vector<recv_channel<int>>{a, b}, all);
    return all;
}

task<> show() {
    co_await with_group([](task_group& g) -> task<> {
        auto all = squares(10, g);
        std::set<int> sorted;
        while (auto n = co_await all.recv()) sorted.insert(*n);
        for (int n : sorted) std::printf("%d ", n);
        std::printf("\n");
    });
    co_await with_group([](task_group& g) -> task<> {
        auto endless = squares(40'000, g);
        auto first = co_await endless.recv();
        std::printf("%s, and that is enough\n", first ? "one square" : "none");
        g.cancel(); // no stage hangs in a send that nobody receives: all unwind, and are joined
    });
    std::printf("all stages have ended\n");
}

} // namespace

int main() { return levada::run(show); }
