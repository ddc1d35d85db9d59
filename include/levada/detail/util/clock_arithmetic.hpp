#pragma once

#include <chrono>

#include <levada/base/clock.hpp>

namespace levada::detail {

/// `t + d`, stopping at the ends of the clock, so that `sleep_for(hours::max())` sleeps for ever.
[[nodiscard]] time_point saturating_add(time_point t, duration d) noexcept;

/// Any duration as the clock's own, rounded up (a sleep is never too short) and cut off at its ends.
template <class Rep, class Period>
[[nodiscard]] duration to_duration(std::chrono::duration<Rep, Period> d) noexcept {
    using wide = std::chrono::duration<long double>;
    if (wide(d) >= wide(duration::max())) return duration::max();
    if (wide(d) <= wide(duration::min())) return duration::min();
    return std::chrono::ceil<duration>(d);
}
[[nodiscard]] inline duration to_duration(duration d) noexcept { return d; }

} // namespace levada::detail
