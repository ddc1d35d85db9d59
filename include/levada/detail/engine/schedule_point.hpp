#pragma once

#include <atomic>

namespace levada::detail {

/// How many loops there are that want to hear of schedule points.
inline std::atomic<unsigned> scheduled_loops{0};
void reach_schedule_point() noexcept;
/// Before all that other tasks can see: operations, `try_` forms, closes, cancels, starts, looks at shared
/// state.
[[gnu::always_inline]] inline void schedule_point() noexcept {
    if (scheduled_loops.load(std::memory_order_relaxed) != 0) [[unlikely]]
        reach_schedule_point();
}

} // namespace levada::detail
