#include "granularity.hpp"

#include <time.h>

#include <algorithm>

namespace levada::detail {
namespace {

std::uint64_t ns_of(clockid_t clock) noexcept {
    timespec t{};
    ::clock_gettime(clock, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

// An operation costs some 50 ns more once there are threads, and handing a task over 100 to 1000.
constexpr std::uint64_t coarse_ns = 150;
constexpr std::uint64_t enough_ns = 1'000'000; // to be sure: at first all is cold, and takes longer
// Steps of this length pay at once: a thread is there in less than some ten of them.
constexpr std::uint64_t long_ns = 5'000;
constexpr std::uint64_t enough_long_ns = 25'000;
// Some, as the first one may be long because all is new; but not where one is longer than that.
constexpr std::uint64_t enough_long_steps = 3;
constexpr std::uint64_t very_long_ns = 500'000;
// A shorter stretch says nothing.
constexpr std::uint64_t least_stretch_ns = 5'000;
// The processor time is read at most so often where nothing is suspected: it takes a system call.
constexpr std::uint64_t between_readings_ns = 1'000'000;
// So many fine steps in a row say that the coarse ones were a phase.
constexpr std::uint64_t enough_fine_steps = 64;

} // namespace

void granularity::read_processor_time(std::uint64_t now) noexcept {
    read_at_ = now;
    processor_ = ns_of(CLOCK_THREAD_CPUTIME_ID);
}

void granularity::begin_stretch(std::uint64_t now, std::uint64_t steps) noexcept {
    began_ = now;
    steps_before_ = steps;
}

void granularity::begin_turn(std::uint64_t steps) noexcept {
    const std::uint64_t now = ns_of(CLOCK_MONOTONIC);
    begin_stretch(now, steps);
    if (!coarse_ && now - read_at_ > between_readings_ns) read_processor_time(now);
}

bool granularity::look(std::uint64_t steps) noexcept {
    if (coarse_ || steps == steps_before_) return false;
    const std::uint64_t now = ns_of(CLOCK_MONOTONIC);
    const std::uint64_t passed = now - began_;
    if (passed < least_stretch_ns) return false;
    const std::uint64_t n = steps - steps_before_;
    if (passed / n < coarse_ns) {
        spent_ = steps_spent_ = 0;
        begin_stretch(now, steps);
        return false;
    }
    // Of the time since the last reading the thread was away for what it has not computed; at worst that was
    // all within this stretch.
    const std::uint64_t since = now - read_at_;
    const std::uint64_t before = processor_;
    read_processor_time(now);
    const std::uint64_t away = since - std::min(since, processor_ - before);
    spent_ += passed - std::min(passed, away);
    steps_spent_ += n;
    begin_stretch(now, steps);
    const std::uint64_t step = spent_ / steps_spent_;
    long_steps_ = step >= long_ns;
    const bool long_enough =
        spent_ >= enough_long_ns && (steps_spent_ >= enough_long_steps || spent_ >= very_long_ns);
    coarse_ = step >= coarse_ns && (long_steps_ ? long_enough : spent_ >= enough_ns);
    if (coarse_) spent_ = steps_spent_ = fine_steps_ = 0;
    return coarse_;
}

bool granularity::look_back(std::uint64_t steps) noexcept {
    if (coarse_ || steps == steps_before_) return false;
    return (ns_of(CLOCK_MONOTONIC) - began_) / (steps - steps_before_) >= very_long_ns && look(steps);
}

bool granularity::end_turn(std::uint64_t steps) noexcept {
    const std::uint64_t n = steps - steps_before_;
    const bool fine = n != 0 && (ns_of(CLOCK_MONOTONIC) - began_) / n < coarse_ns;
    fine_steps_ = fine ? fine_steps_ + n : 0;
    coarse_ = fine_steps_ < enough_fine_steps;
    return !coarse_;
}

} // namespace levada::detail
