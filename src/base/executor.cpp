#include <levada/base/executor.hpp>

#include <limits>

namespace levada {

time_point now() noexcept {
    executor* e = executor::current();
    return e ? e->now() : std::chrono::steady_clock::now();
}

time_point executor::now() const noexcept { return std::chrono::steady_clock::now(); }

void executor::seed(std::uint64_t s) noexcept {
    // splitmix64 (Steele, Lea, Flood 2014): neighbouring seeds give unlike streams, and never 0.
    s += 0x9e3779b97f4a7c15u;
    s = (s ^ (s >> 30)) * 0xbf58476d1ce4e5b9u;
    s = (s ^ (s >> 27)) * 0x94d049bb133111ebu;
    rng_ = (s ^ (s >> 31)) | 1;
}

time_point executor::run_timers() noexcept { return run_timers(std::numeric_limits<std::size_t>::max()); }

time_point executor::run_timers(std::size_t most) noexcept {
    if (!timers_.empty()) timers_.fire_until(now(), most);
    return timers_.earliest();
}

void executor::add_timer(detail::timer_node& t, time_point deadline) noexcept {
    const bool nearest = deadline < timers_.earliest();
    timers_.insert(t, deadline);
    if (nearest) arm(deadline);
}

} // namespace levada
