#include "owner_lock.hpp"

#include <sched.h>

#include "barrier.hpp"

namespace levada::detail {

bool owner_lock::visit() noexcept {
    visitors_.acquire();
    visited_.store(1, std::memory_order_seq_cst);
    if (!barrier_for_all()) {
        end_visit();
        return false;
    }
    constexpr int looks = 100; // it is inside for less than that, unless its thread was preempted
    for (int i = 0; inside_.load(std::memory_order_acquire) != 0; ++i) {
        if (i < looks) relax();
        else ::sched_yield();
    }
    return true;
}

void owner_lock::end_visit() noexcept {
    visited_.store(0, std::memory_order_release);
    visitors_.release();
}

void owner_lock::wait_for_visitor() noexcept {
    do {
        inside_.store(0, std::memory_order_release);
        visitors_.acquire(); // until it has gone
        visitors_.release();
        inside_.store(1, std::memory_order_relaxed); // as in acquire()
        std::atomic_signal_fence(std::memory_order_seq_cst);
    } while (visited_.load(std::memory_order_acquire) != 0);
}

} // namespace levada::detail
