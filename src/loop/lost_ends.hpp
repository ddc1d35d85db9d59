#pragma once

#include <linux/time_types.h>

#include <levada/detail/loop/multishot.hpp>

namespace levada::detail {

/// Finds the ends of streams that the kernel does not tell. (A multishot receive takes bytes; the peer resets
/// or ends the connection before the kernel is done with them; then the receive stays, and no completion ever
/// comes: liburing's issue 1549, seen on Linux 6.18 once in some 10,000 resets that follow bytes.) Once the
/// bytes' completion is reaped that cannot happen any more, so a look at the descriptor after it is enough:
/// all those that have brought bytes are asked together, by a poll(2) some time later. A receive whose stream
/// has ended is taken back, and submitted again: it finds the end at once.
class lost_ends final : public ring_entry {
public:
    explicit lost_ends(ring& r) noexcept : ring_(r) { background_ = true; }
    ~lost_ends() = default;

    /// It has brought bytes, and stays armed.
    void watch(multishot::unsure_hook& m) noexcept;
    /// The kernel has given it back.
    void forget(multishot::unsure_hook& m) noexcept;
    /// Whether the ring has anything of this.
    [[nodiscard]] bool armed() const noexcept { return pending_ != 0; }

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    void completed(int result, unsigned flags, bool of_cancel) noexcept override;
    void look() noexcept;

    ring& ring_;
    intrusive_bag<multishot::unsure_hook> unsure_;
    __kernel_timespec spec_{}; // the kernel reads it as it takes the entry
};

} // namespace levada::detail
