#pragma once

// Buffers that the kernel chooses from when something has come: the provided buffers of one ring.
//
// Invariants:
// 1. `put`, `take` and `grow` are for the ring's thread. A buffer is the kernel's from `put` until the
//    completion that names it, and then its taker's until `give_back`.
// 2. `give_back` on another thread puts it into `returned_`, from where the ring's thread takes it. The lock
//    guards that list and `closed_`.
// 3. The pool outlives its ring while a buffer is out: the last to come back frees it.

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <levada/detail/util/lock.hpp>

struct io_uring;
struct io_uring_buf_ring;

namespace levada::detail {

class ring;

class buffer_pool {
public:
    static constexpr unsigned size = 16 * 1024; // of a buffer
    static constexpr unsigned most = 1024;
    static constexpr unsigned short group = 0x6c76;

    /// Null where the kernel has none.
    [[nodiscard]] static buffer_pool* make(const ring& of, io_uring& in) noexcept;
    /// The kernel has let go of all: its ring has been closed.
    void close() noexcept;

    /// A buffer is its taker's.
    [[nodiscard]] std::byte* take(unsigned id) noexcept;
    /// *Threads*: any.
    void give_back(unsigned id) noexcept;
    /// The kernel has run out of them. False if there can be no more.
    [[nodiscard]] bool grow() noexcept;

private:
    buffer_pool(const ring& of, std::byte* memory, io_uring_buf_ring* shared) noexcept
        : memory_(memory), shared_(shared), ring_(&of) {}
    ~buffer_pool();
    [[nodiscard]] std::byte* at(unsigned id) const noexcept { return memory_ + std::size_t(id) * size; }
    void put(unsigned id) noexcept;
    [[nodiscard]] bool take_returned() noexcept;

    std::byte* const memory_;         // for all that there may be; the kernel backs what is used
    io_uring_buf_ring* const shared_; // with the kernel
    unsigned made_ = 0;
    unsigned out_ = 0; // taken, and not given back on the ring's thread
    std::atomic<const ring*> ring_;
    lock lock_;
    static constexpr unsigned none = most;
    std::atomic<unsigned> returned_{none}; // the first; each has the number of the next in its first bytes
    unsigned returned_count_ = 0;
    bool closed_ = false;
    unsigned left_ = 0; // out when it was closed
};

} // namespace levada::detail
