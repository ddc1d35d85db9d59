#pragma once

// A lock that one thread, its owner, takes again and again for next to nothing, and others once in a while.
//
// Invariants:
// 1. The owner stores `inside_`, then reads `visited_`; a compiler barrier keeps the two in order. A visitor
//    holds `visitors_`, stores `visited_`, has all threads of the process pass a barrier (membarrier), then
//    reads `inside_` until it is 0. If the owner's store came before that barrier, the visitor sees it, and
//    waits; if after it, the owner's read came after it too: it goes out again, and waits for the visitor.
// 2. What is guarded is touched by the owner between acquire() and release(), and by the one visitor between
//    visit(), where that gave true, and end_visit(). Each sees what the other did: `inside_` is released and
//    acquired, and so is `visited_`.
// 3. The owner does not wait for anybody while it is inside. A visitor may hold other locks, which the owner
//    does not take inside.
//
// It goes with a thread: where the owner's part passes to another one, something else has to order that.

#include <atomic>
#include <cstdint>

#include <levada/detail/util/lock.hpp>

namespace levada::detail {

class owner_lock {
public:
    /// On the owner's thread; they do not nest.
    void acquire() noexcept {
        inside_.store(1, std::memory_order_relaxed); // relaxed: invariant 1 orders it
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (visited_.load(std::memory_order_acquire) != 0) [[unlikely]]
            wait_for_visitor();
    }
    void release() noexcept { inside_.store(0, std::memory_order_release); }

    /// On any other thread. False where threads cannot be made to pass a barrier: then nobody may visit.
    [[nodiscard]] bool visit() noexcept;
    void end_visit() noexcept;

private:
    void wait_for_visitor() noexcept;

    std::atomic<std::uint32_t> inside_{0};
    std::atomic<std::uint32_t> visited_{0};
    thread_lock visitors_;
};

} // namespace levada::detail
