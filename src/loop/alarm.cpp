#include "alarm.hpp"

#include <liburing.h>

#include <chrono>

namespace levada::detail {

void alarm::set(time_point t) noexcept {
    if (t >= at_) return;
    if (pending_ == 0) {
        at_ = t;
        const auto since = t.time_since_epoch();
        const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
        spec_.tv_sec = seconds.count();
        spec_.tv_nsec = std::chrono::nanoseconds(since - seconds).count();
        ring_.submit(*this);
    } else if (!cancelling_) {
        // Set for later: it calls now, as it is taken back, and is set again by the loop that comes then.
        ring_.cancel(*this);
    }
    ring_.flush();
}

void alarm::close() noexcept {
    if (pending_ == 0) return;
    if (!cancelling_) ring_.cancel(*this);
    while (pending_ != 0) ring_.wait(time_point::max());
}

void alarm::prepare(io_uring_sqe& sqe) noexcept {
    // Absolute, on the monotonic clock, which is the steady clock.
    io_uring_prep_timeout(&sqe, &spec_, 0, IORING_TIMEOUT_ABS);
}

void alarm::completed(int, unsigned, bool) noexcept {
    if (--pending_ != 0) return;
    cancelling_ = false;
    at_ = time_point::max();
    ring_.ended(*this);
}

} // namespace levada::detail
