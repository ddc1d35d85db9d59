#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

#include <levada/detail/util/lock.hpp>

#include "run_queue.hpp"

namespace levada::detail {

/// Ready tasks of a loop that other loops may take. *Threads*: any. See the invariants of loop_group.hpp.
class offered_work {
public:
    [[nodiscard]] bool empty() const noexcept { return size_.load(std::memory_order_seq_cst) == 0; }

    void put(ready_half&& given) noexcept {
        lock_guard guard(lock_);
        usual_.append(std::move(given.usual));
        urgent_.append(std::move(given.urgent));
        size_.store(size_.load(std::memory_order_relaxed) + given.size, std::memory_order_seq_cst);
    }
    /// Moves half of it, `most` at most, or all of it to the queue of `thief`. False if there was nothing.
    [[nodiscard]] bool take_half(executor& thief, run_queue& to, std::size_t most) noexcept {
        return take(thief, to, [most](std::size_t there) { return std::min((there + 1) / 2, most); });
    }
    [[nodiscard]] bool take_all(executor& thief, run_queue& to) noexcept {
        return take(thief, to, [](std::size_t there) { return there; });
    }

private:
    template <class HowMany>
    [[nodiscard]] bool take(executor& thief, run_queue& to, const HowMany& how_many) noexcept {
        if (empty()) return false;
        lock_guard guard(lock_);
        const std::size_t there = size_.load(std::memory_order_relaxed);
        const std::size_t wanted = how_many(there);
        for (std::size_t n = 0; n < wanted; ++n) {
            work* const urgent = urgent_.pop();
            work& w = urgent ? *urgent : *usual_.pop();
            (void)w.move_to(thief); // it may: that was asked before it was put here
            if (urgent) to.push_urgent(w);
            else to.push_ready(w);
        }
        size_.store(there - wanted, std::memory_order_seq_cst);
        return wanted != 0;
    }

    lock lock_; // guards the lists, and what is stored to size_
    work_list usual_;
    work_list urgent_;
    std::atomic<std::size_t> size_{0};
};

} // namespace levada::detail
