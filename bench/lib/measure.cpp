#include "measure.hpp"

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <stdexcept>

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
std::atomic<long> sink;
}

void keep(long value) noexcept { sink.store(value, std::memory_order_relaxed); }

double resident_bytes() {
    std::FILE* file = std::fopen("/proc/self/statm", "re");
    if (!file) throw std::runtime_error("cannot read /proc/self/statm");
    long size = 0, resident = 0;
    const int read = std::fscanf(file, "%ld %ld", &size, &resident);
    std::fclose(file);
    if (read != 2) throw std::runtime_error("cannot read /proc/self/statm");
    return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

} // namespace bench
