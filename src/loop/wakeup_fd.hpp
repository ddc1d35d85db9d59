#pragma once

#include <levada/detail/loop/kernel_op.hpp>

#include "ring.hpp"

namespace levada::detail {

/// Wakes a loop from other threads: an eventfd that its ring always polls. (To read it through the ring
/// would leave the kernel a buffer of ours when the loop is destroyed on another thread.)
class wakeup_fd final : public ring_entry {
public:
    explicit wakeup_fd(ring& r);
    ~wakeup_fd();

    void listen() noexcept { ring_.submit(*this); }
    /// *Threads*: any.
    void wake() noexcept;
    /// Takes the poll back from the kernel.
    void close() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    void completed(int result, unsigned flags, bool of_cancel) noexcept override;

    ring& ring_;
    int fd_;
    bool closing_ = false;
};

} // namespace levada::detail
