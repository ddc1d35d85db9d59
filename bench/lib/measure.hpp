#pragma once

// What our cases measure with, and Asio's: nothing here knows either library.

namespace bench {

enum class clock_kind { wall, processor };

/// How the cases run: set before the first.
struct settings {
    int threads = 1;
    clock_kind clock = clock_kind::wall;
    bool eager = false; // for ours
};
settings& how() noexcept;

/// How many threads a case may keep busy: where a case of Go's starts a goroutine for each.
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
void keep(long value) noexcept;

/// Work that no compiler shortens: each step, about a nanosecond, needs the one before.
inline unsigned long work(unsigned long x, int steps) noexcept {
    for (int i = 0; i < steps; ++i) x = x * 5 / 4 + 1;
    return x;
}

/// The memory of this process that is in RAM.
double resident_bytes();

} // namespace bench
