#pragma once

#include <levada/levada.hpp>

namespace bench {

/// A main task that does `n` operations and leaves its figure: ns an operation where the name says nothing
/// else.
struct bench_case {
    const char* name;
    int size; // operations at scale 1; those of the rivals' programs
    levada::task<> (*run)(int n, double& figure);
    double limit = 0;   // that we set ourselves, on one thread; 0: none
    bool fresh = false; // measures the process: right in the first round only, before all others
};

enum class clock_kind { wall, processor };

/// How the cases run: set before the first.
struct settings {
    int threads = 1;
    clock_kind clock = clock_kind::wall;
};
settings& how() noexcept;

/// How many threads the case may keep busy: where a case of Go's starts a goroutine for each.
inline int threads() noexcept { return how().threads; }

/// Nanoseconds on the clock that was chosen.
double clock_ns() noexcept;

class stopwatch {
public:
    [[nodiscard]] double ns() const noexcept { return clock_ns() - start_; }
    [[nodiscard]] double ns_per(int n) const noexcept { return ns() / n; }

private:
    double start_ = clock_ns();
};

/// Takes what a case worked out and nobody reads.
void keep(int value) noexcept;

/// Work that no compiler shortens: each step, about a nanosecond, needs the one before.
inline unsigned long work(unsigned long x, int steps) noexcept {
    for (int i = 0; i < steps; ++i) x = x * 5 / 4 + 1;
    return x;
}

} // namespace bench
