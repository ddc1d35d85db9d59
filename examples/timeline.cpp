// A timeline of what tasks do: `timeline FILE`, then open FILE in https://ui.perfetto.dev.

#include <chrono>
#include <cstdio>
#include <exception>
#include <string_view>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

task<> producer(send_channel<int> out) {
    this_task::name("producer");
    for (int i = 0; i < 100; ++i) co_await or_throw(out.send(i));
    out.close();
}

task<> doubler(recv_channel<int> in, send_channel<int> out) {
    this_task::name("doubler");
    while (auto n = co_await in.recv()) co_await or_throw(out.send(2 * *n));
    out.close();
}

task<long> sum(recv_channel<int> in) {
    long total = 0;
    for (;;) {
        auto s = co_await select(in.recv(), after(1s));
        if (s.index() == 1 || !s.get<0>()) co_return total;
        total += *s.get<0>();
    }
}

task<int> run_traced(const char* file) {
    debug::trace timeline(file);
    channel<int> numbers, doubled(4);
    long total = 0;
    co_await with_group([&](task_group& g) -> task<> {
        g.go(producer, numbers);
        g.go(doubler, numbers, doubled);
        total = co_await sum(doubled);
    });
    const auto [events, dropped] = timeline.stop();
    std::printf("sum %ld; %zu events in %s\n", total, events, file);
    co_return dropped == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2 || std::string_view(argv[1]) == "--help") {
        std::fprintf(argc == 2 ? stdout : stderr,
                     "usage: timeline FILE\nWrites a trace for https://ui.perfetto.dev.\n");
        return argc == 2 ? 0 : 2;
    }
    try {
        return levada::run(run_traced, argv[1]);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "timeline: %s\n", e.what());
        return 1;
    }
}
