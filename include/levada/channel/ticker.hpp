#pragma once

#include <chrono>
#include <source_location>

#include <levada/base/clock.hpp>
#include <levada/channel/channel.hpp>
#include <levada/detail/util/clock_arithmetic.hpp>

namespace levada {

namespace detail {
[[nodiscard]] recv_channel<time_point> start_ticker(duration every, const std::source_location& where);
}

/// A channel on which the time arrives every `d`: Go's time.NewTicker. It keeps one tick; a receiver that is
/// late misses the others, and the rhythm stays. It stops at once when nobody has the channel any more, and
/// when main ends. `d` <= 0 terminates. *Threads*: made on a loop's.
template <class Rep, class Period>
[[nodiscard]] recv_channel<time_point> ticker(
    std::chrono::duration<Rep, Period> d,
    const std::source_location& where = std::source_location::current()) {
    return detail::start_ticker(detail::to_duration(d), where);
}

} // namespace levada
