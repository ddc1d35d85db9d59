#include <levada/detail/util/clock_arithmetic.hpp>

namespace levada::detail {

time_point saturating_add(time_point t, duration d) noexcept {
    if (d > duration::zero() && t > time_point::max() - d) return time_point::max();
    if (d < duration::zero() && t < time_point::min() - d) return time_point::min();
    return t + d;
}

} // namespace levada::detail
