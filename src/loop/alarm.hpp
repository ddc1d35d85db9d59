#pragma once

#include <linux/time_types.h>

#include <levada/detail/loop/kernel_op.hpp>

#include "ring.hpp"

namespace levada::detail {

/// A timeout in a loop's ring that calls for attention while the loop runs tasks: a loop that computes sees a
/// due timer by a load. (A loop that sleeps passes its deadline to the kernel as it goes to sleep.)
///
/// One timeout is in the kernel at most. It stays there when what it was set for is dropped, so a timer that
/// is made and dropped with every operation costs no system call each.
class alarm final : public ring_entry {
public:
    explicit alarm(ring& r) noexcept : ring_(r) { background_ = true; }
    ~alarm() = default;

    /// When it will call; `time_point::max()` if it will not.
    [[nodiscard]] time_point at() const noexcept { return at_; }
    /// Makes it call at `t`, or soon after, and not later than it would have.
    void set(time_point t) noexcept;
    /// Whether the ring has anything of it.
    [[nodiscard]] bool armed() const noexcept { return pending_ != 0; }
    /// Takes it back from the kernel.
    void close() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    void completed(int result, unsigned flags, bool of_cancel) noexcept override;

    ring& ring_;
    time_point at_ = time_point::max();
    __kernel_timespec spec_{}; // the kernel reads it as it takes the entry
};

} // namespace levada::detail
