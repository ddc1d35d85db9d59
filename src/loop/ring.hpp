#pragma once

#include <liburing.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <levada/base/clock.hpp>
#include <levada/detail/loop/multishot.hpp>
#include <levada/detail/util/attention.hpp>
#include <levada/detail/util/intrusive_list.hpp>
#include <levada/loop/guest_ring.hpp>

#include "lost_ends.hpp"

namespace levada::detail {

class buffer_pool;

/// One io_uring, and the operations of ours that are in it. Used on one thread.
class ring {
public:
    ring();
    /// A part of somebody else's ring, which has to outlive this. Throws `std::system_error`.
    explicit ring(const guest_ring& host);
    ~ring();
    ring(const ring&) = delete;
    ring& operator=(const ring&) = delete;

    /// Makes the calling thread the ring's: no other may submit from now on.
    void enable();

    /// The kernel writes to this eventfd when there is something to reap. Throws `std::system_error`.
    void signal_to(int event_fd);

    void submit(ring_entry& op) noexcept;
    void cancel(ring_entry& op) noexcept;

    /// Hands entries over that waited for room.
    void refill() noexcept;
    /// Hands what is queued to the kernel, without reaping. Not for guests, whose owner submits.
    void flush() noexcept;
    /// Makes the kernel call `calls` when there is something to reap. Once; then `seen` after each reaping.
    void call(attention& calls) noexcept;
    void seen(attention& calls) const noexcept;
    /// In somebody else's ring: from now on waits give the places of our completions back to the kernel. The
    /// owner holds none of them.
    void begin_ending() noexcept { ending_ = true; }
    [[nodiscard]] bool is_guest() const noexcept { return tag_ != 0; }
    /// In somebody else's ring: tells an operation of ours that it has completed. False if it is not ours.
    [[nodiscard]] bool dispatch(const io_uring_cqe& cqe) noexcept;

    /// Hands entries to the kernel and completions to their operations, without waiting.
    void poll() noexcept;
    /// The same, after waiting for a completion, until `deadline` at most. In somebody else's ring it takes
    /// ours out from among theirs, which stay.
    void wait(time_point deadline) noexcept { wait(deadline, nullptr); }
    /// The same; sets `rests` to false once it waits no more, before it takes a completion.
    void wait(time_point deadline, std::atomic<bool>* rests) noexcept;
    /// Whether `poll()` has anything to do.
    [[nodiscard]] bool wants_poll() noexcept;
    /// Whether a completion is there that its loop has not seen. *Threads*: any.
    [[nodiscard]] bool has_news() const noexcept;

    /// Operations that the kernel, or our list, has, and tasks that wait for what a multishot brings; those
    /// in the background not counted.
    [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_ + awaited(); }
    /// The former alone.
    [[nodiscard]] std::size_t submitted() const noexcept { return in_flight_; }
    /// Of these, the tasks that wait for a multishot. *Threads*: any.
    [[nodiscard]] std::size_t awaited() const noexcept { return awaited_.count(); }
    [[nodiscard]] std::size_t background() const noexcept { return background_ - (ends_.armed() ? 1 : 0); }

    /// All completions of an entry are in.
    void ended(ring_entry& op) noexcept { --(op.background_ ? background_ : in_flight_); }

    /// Hands all entries to the kernel, and lets it do what it has put off, without reaping. False if it did
    /// not take them all.
    [[nodiscard]] bool hand_over() noexcept;
    /// Takes the multishots back, whose owners live on. On the ring's thread.
    void end_multishots() noexcept;
    [[nodiscard]] bool has_multishots() const noexcept { return !multishots_.empty(); }
    /// The same on another thread, where the ring may not be used: those without an owner are left to the
    /// kernel. Terminates if one has an owner.
    void forget_multishots() noexcept;
    /// The buffers that receives choose from; null where the kernel does not do that, or not for guests.
    [[nodiscard]] buffer_pool* buffers() noexcept;
    [[nodiscard]] lost_ends& ends() noexcept { return ends_; }

private:
    void check_entered(int answer) noexcept;
    friend class multishot;
    friend class awaited;
    void tell_queued() noexcept;
    [[nodiscard]] io_uring_sqe* entry() noexcept;
    [[nodiscard]] bool put(ring_entry& op) noexcept;
    [[nodiscard]] bool put_cancel(ring_entry& op) noexcept;
    void reap() noexcept;
    struct completion {
        std::uint64_t user_data;
        int result;
        unsigned flags;
    };
    void complete(const completion& c) noexcept;
    [[nodiscard]] bool reap_among_others() noexcept;
    void wait_among_others(time_point deadline) noexcept;
    void close_gaps() noexcept;
    [[nodiscard]] int submit_and_wait(unsigned completions_wanted, time_point deadline) noexcept;

    io_uring own_{};
    io_uring* const ring_;
    attention* calls_ = nullptr; // to be told of entries for the kernel
    bool ending_ = false;
    const std::uint64_t tag_ = 0; // the top bits of our user_data, in somebody else's ring
    bool disabled_ = false;
    // Times in a row that the kernel had no memory; so many, a millisecond each, are borne.
    static constexpr unsigned most_without_memory = 1000;
    unsigned without_memory_ = 0;
    std::size_t in_flight_ = 0;
    std::size_t background_ = 0;
    ref_count awaited_{0};
    intrusive_bag<multishot::armed_hook> multishots_;
    lost_ends ends_{*this};
    buffer_pool* buffers_ = nullptr;
    bool no_buffers_ = false;
    bool forgets_ = false;               // the kernel may have multishots when this goes
    intrusive_list<ring_entry> waiting_; // for a free entry
};

} // namespace levada::detail
