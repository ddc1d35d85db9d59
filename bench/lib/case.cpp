#include "case.hpp"

#include <time.h>

#include <atomic>

namespace bench {

settings& how() noexcept {
    static settings chosen;
    return chosen;
}

double clock_ns() noexcept {
    timespec t{};
    ::clock_gettime(how().clock == clock_kind::wall ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

namespace {
std::atomic<int> sink;
}

void keep(int value) noexcept { sink.store(value, std::memory_order_relaxed); }

} // namespace bench
