// What channels, select, tasks and timers cost, and what Go's cost beside them.
//
// Each round runs every case of ours, then Go's program (bench/go/), both on the same CPUs. The table gives
// medians over the rounds. An absolute time holds for one machine; the ratio carries over. tools/bench runs
// more rivals, and each case in a process of its own.

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "cases/cases.hpp"
#include "lib/options.hpp"
#include "lib/process.hpp"

namespace {

using bench::bench_case;
using bench::figures;
using bench::options;

std::vector<bench_case> wanted_cases(const options& o) {
    std::vector<bench_case> wanted;
    for (const bool fresh : {true, false}) {
        for (const auto theme : {bench::flow_cases(), bench::select_cases(), bench::task_cases(),
                                 bench::pattern_cases(), bench::go_cases()}) {
            for (const auto& c : theme)
                if (c.fresh == fresh && o.wants(c.name)) wanted.push_back(c);
        }
    }
    if (wanted.empty()) {
        throw bench::bad_option(o.name.empty() ? "no case has \"" + o.only + "\" in its name"
                                               : "no case is called \"" + o.name + "\"");
    }
    return wanted;
}

double run_case(const bench_case& c, double scale) {
    double figure = 0;
    const double n = std::min(std::max(10.0, c.size * scale), 2e9);
    levada::runtime rt({.loops = static_cast<std::size_t>(bench::threads()), .eager = bench::how().eager});
    rt.run(c.run, static_cast<int>(n), std::ref(figure));
    return figure;
}

double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    const std::size_t half = v.size() / 2;
    return v.size() % 2 ? v[half] : (v[half - 1] + v[half]) / 2;
}

void print_table(const std::vector<bench_case>& cases, const figures& ours, const figures& gos) {
    std::printf("%-38s %9s %19s %6s", "case", "ns", "min..max", "limit");
    std::printf(gos.empty() ? "\n" : " %9s %6s\n", "Go", "Go/us");
    for (const auto& c : cases) {
        const auto& v = ours.at(c.name);
        const double m = median(v);
        const double limit = bench::threads() == 1 ? c.limit : 0;
        const auto [least, greatest] = std::minmax_element(v.begin(), v.end());
        std::array<char, 64> spread;
        std::snprintf(spread.data(), spread.size(), "%.1f..%.1f", *least, *greatest);
        std::printf("%-38s %9.1f %19s", c.name, m, spread.data());
        if (limit > 0) std::printf(" %6.0f", limit);
        else std::printf(" %6s", "");
        if (const auto g = gos.find(c.name); g != gos.end()) {
            const double go = median(g->second);
            std::printf(" %9.1f %5.1fx", go, m > 0 ? go / m : 0.0);
        }
        std::printf(limit > 0 && m > limit ? "  over the limit\n" : "\n");
    }
}

void print_lines(const std::vector<bench_case>& cases, const options& o) {
    for (const auto& c : cases) {
        std::printf("%s\t%.2f\n", c.name, run_case(c, o.scale));
        std::fflush(stdout);
    }
}

void print_rounds(const std::vector<bench_case>& cases, const options& o) {
    const std::string go = o.go ? bench::go_program() : std::string();
    if (o.go && go.empty()) std::printf("go: not installed (package golang-go): ratios left out\n");
    figures ours, gos;
    for (int round = 0; round < o.rounds; ++round) {
        for (const auto& c : cases)
            if (!c.fresh || round == 0) ours[c.name].push_back(run_case(c, o.scale));
        if (!go.empty()) bench::run_go(go, o, gos);
    }
#if defined(__clang__)
    std::printf("clang %s", __clang_version__);
#else
    std::printf("g++ %s", __VERSION__);
#endif
    std::printf(", %d rounds, medians; ns an operation where the name says nothing else\n", o.rounds);
    print_table(cases, ours, gos);
}

} // namespace

int main(int argc, char** argv) {
    try {
        const options o = bench::read_options(argc, argv);
        if (o.beside) std::thread([] { ::pause(); }).detach();
        if (o.help) {
            std::fputs(bench::usage, stdout);
            return 0;
        }
        const auto cases = wanted_cases(o);
        bench::how() = o.how;
        ::setenv("LEVADA_LOOPS", std::to_string(o.how.threads).c_str(), 1);
        bench::pin(o.how.threads);
        if (o.list) {
            for (const auto& c : cases) std::printf("%s\n", c.name);
        } else if (o.lines) {
            print_lines(cases, o);
        } else {
            print_rounds(cases, o);
        }
        return std::fflush(stdout) == 0 ? 0 : 1;
    } catch (const bench::bad_option& e) {
        std::fprintf(stderr, "channel: %s\n", e.what());
        return 2;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "channel: %s\n", e.what());
        return 1;
    }
}
