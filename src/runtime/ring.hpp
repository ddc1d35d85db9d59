#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>

#include <levada/base/clock.hpp>
#include <levada/base/intrusive_list.hpp>
#include <levada/runtime/kernel_op.hpp>

namespace levada::detail {

/// One io_uring, and the operations that are in it. Used on one thread.
class ring {
public:
    ring();
    ~ring();
    ring(const ring&) = delete;
    ring& operator=(const ring&) = delete;

    /// Makes the calling thread the ring's: no other may submit from now on.
    void enable();

    /// The kernel writes to this eventfd when there is something to reap. Throws `std::system_error`.
    void signal_to(int event_fd);

    void submit(ring_entry& op) noexcept;
    void cancel(ring_entry& op) noexcept;

    /// Hands entries to the kernel and completions to their operations, without waiting.
    void poll() noexcept;
    /// The same, after waiting for a completion, until `deadline` at most.
    void wait(time_point deadline) noexcept;
    /// Whether `poll()` has anything to do.
    [[nodiscard]] bool wants_poll() noexcept;
    /// Whether a completion is there that its loop has not seen. *Threads*: any.
    [[nodiscard]] bool has_news() const noexcept;

    /// Operations that the kernel, or our list, has; those in the background not counted.
    [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_; }
    [[nodiscard]] std::size_t background() const noexcept { return background_; }

    /// All completions of an entry are in.
    void ended(ring_entry& op) noexcept { --(op.background_ ? background_ : in_flight_); }

private:
    [[nodiscard]] io_uring_sqe* entry() noexcept;
    [[nodiscard]] bool put(ring_entry& op) noexcept;
    [[nodiscard]] bool put_cancel(ring_entry& op) noexcept;
    void reap() noexcept;

    io_uring ring_{};
    bool disabled_ = false;
    std::size_t in_flight_ = 0;
    std::size_t background_ = 0;
    intrusive_list<ring_entry> waiting_; // for a free entry
};

} // namespace levada::detail
