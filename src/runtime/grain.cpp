#include "grain.hpp"

#include <time.h>

#include <chrono>

namespace levada::detail {
namespace {

std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}
#if defined(__x86_64__)
constexpr std::uint64_t ticks_per_us = 2500; // of 2 to 4 GHz: it is confirmed by a clock that knows
#else
constexpr std::uint64_t ticks_per_us = 1000;
#endif

// An operation costs some 50 ns more once there are threads, and handing a task over 100 to 1000.
constexpr std::uint64_t coarse_ns = 150;
constexpr std::uint64_t coarse_ticks = coarse_ns * ticks_per_us / 1000;
constexpr std::uint64_t long_ticks = 50 * ticks_per_us;
constexpr std::uint64_t enough_ns = 100'000; // to be sure

std::uint64_t processor_ns() noexcept {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

} // namespace

void grain::begin_turn() noexcept {
    turn_began_ = last_look_ = ticks();
    steps_before_ = 0;
    if (suspects_) cpu_began_ = processor_ns();
}

void grain::look_at_clock(unsigned tasks, std::uint64_t steps) noexcept {
    const std::uint64_t now = ticks();
    const std::uint64_t since = tasks - tasks / 2; // tasks since the last look
    const bool held_up = now - last_look_ > since * long_ticks;
    last_look_ = now;
    if (!held_up || coarse_) return;
    if (!suspects_) {
        suspects_ = true;
        cpu_ = steps_ = 0;
        steps_before_ = steps;
        cpu_began_ = processor_ns();
        return;
    }
    const std::uint64_t spent = cpu_ + processor_ns() - cpu_began_;
    coarse_ = spent >= enough_ns && spent / (steps_ + steps - steps_before_) >= coarse_ns;
}

void grain::end_turn(std::uint64_t steps) noexcept {
    const bool looks_coarse = (ticks() - turn_began_) / steps >= coarse_ticks;
    if (coarse_) {
        // Its tasks are on other loops too by now; a turn of fine work says that it was a phase.
        if (!looks_coarse && steps >= 64) coarse_ = suspects_ = false;
        return;
    }
    if (!suspects_) {
        suspects_ = looks_coarse;
        cpu_ = steps_ = 0;
        return;
    }
    cpu_ += processor_ns() - cpu_began_;
    steps_ += steps - steps_before_;
    if (cpu_ < enough_ns || steps_ == 0) return;
    coarse_ = cpu_ / steps_ >= coarse_ns;
    suspects_ = false;
}

} // namespace levada::detail
