#include <levada/base/executor.hpp>

#include <atomic>
#include <limits>
#include <random>

#include <levada/base/park.hpp>

namespace levada {

time_point now() noexcept {
    executor* e = executor::current();
    return e ? e->now() : std::chrono::steady_clock::now();
}

detail::thread_context& detail::this_thread() noexcept {
    thread_local thread_context context;
    return context;
}

// Relaxed where it is asked: a loop's own thread has counted it.
void detail::reach_schedule_point() noexcept {
    const thread_context& here = this_thread();
    if (here.on && here.task && here.callbacks == 0) here.on->schedule_point();
}

unsigned detail::thread_number() noexcept {
    static std::atomic<unsigned> threads{0};
    thread_local constinit unsigned mine = 0;
    if (mine == 0) mine = threads.fetch_add(1, std::memory_order_relaxed) + 1; // relaxed: any number will do
    return mine;
}

time_point detail::saturating_add(time_point t, duration d) noexcept {
    if (d > duration::zero() && t > time_point::max() - d) return time_point::max();
    if (d < duration::zero() && t < time_point::min() - d) return time_point::min();
    return t + d;
}

time_point executor::now() const noexcept { return std::chrono::steady_clock::now(); }

executor* executor::current() noexcept { return detail::this_thread().on; }

void executor::wake(detail::parker& p) noexcept { p.home()->post(p); }

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
