#pragma once

#include <levada/base/clock.hpp>

namespace levada::detail {

/// A descriptor that is readable while a loop has something to do, for those who poll descriptors.
///
/// It is an epoll set of two: an eventfd, which the kernel writes for each completion and the loop for all
/// else, and a timer. (The descriptor of a ring that defers its work never wakes who polls it.)
class poll_fd {
public:
    /// Throws `std::system_error`.
    poll_fd();
    ~poll_fd();
    poll_fd(const poll_fd&) = delete;
    poll_fd& operator=(const poll_fd&) = delete;

    [[nodiscard]] int fd() const noexcept { return set_; }
    /// For the kernel to write to.
    [[nodiscard]] int event_fd() const noexcept { return event_; }
    /// Readable from now on. *Threads*: any.
    void signal() noexcept;
    /// What was signalled until now has been seen; not readable until the next signal, or the deadline.
    void clear(time_point deadline) noexcept;

private:
    void close() noexcept;

    int set_ = -1;
    int event_ = -1;
    int timer_ = -1;
    time_point armed_ = time_point::max();
};

} // namespace levada::detail
