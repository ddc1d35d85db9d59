#pragma once

#include <chrono>

#include <levada/base/clock.hpp>
#include <levada/detail/engine/timer_arm.hpp>
#include <levada/detail/util/clock_arithmetic.hpp>

namespace levada {

/// Waits for `d`, counted from when the wait begins; `d` <= 0 is ready at once. An arm of select.
/// *Cancel*: withdrawn.
template <class Rep, class Period>
[[nodiscard]] detail::timer_arm after(std::chrono::duration<Rep, Period> d) noexcept {
    return detail::timer_arm(detail::to_duration(d));
}
/// Waits until `t` on the loop's clock (`levada::now()`). An arm of select.
[[nodiscard]] inline detail::timer_arm at(time_point t) noexcept { return detail::timer_arm(t); }

/// `co_await sleep_for(d)`: never shorter than `d`.
template <class Rep, class Period>
[[nodiscard]] detail::timer_arm sleep_for(std::chrono::duration<Rep, Period> d) noexcept {
    return detail::timer_arm(detail::to_duration(d));
}
[[nodiscard]] inline detail::timer_arm sleep_until(time_point t) noexcept { return detail::timer_arm(t); }

} // namespace levada
