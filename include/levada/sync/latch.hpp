#pragma once

#include <cstddef>
#include <source_location>

#include <levada/detail/engine/blocking.hpp>
#include <levada/detail/sync/arrive_op.hpp>
#include <levada/detail/sync/gate.hpp>

namespace levada {

/// A count that goes down to 0 once, and is waited for to be there: std::latch for tasks.
///
/// Neither copied nor moved; destroying one that is waited for, and counting below 0, terminate. Nothing is
/// allocated.
class latch {
public:
    explicit latch(std::size_t count,
                   const std::source_location& where = std::source_location::current()) noexcept
        : gate_(count == 0, "latch::wait"), count_(count), where_(where) {}
    ~latch();
    latch(const latch&) = delete;
    latch& operator=(const latch&) = delete;

    /// Whoever counts down to 0 wakes all who wait, and they may destroy the latch then. *Threads*: any.
    void count_down(std::size_t k = 1) noexcept;
    /// Whether the count is 0.
    [[nodiscard]] bool try_wait() const noexcept;

    /// `co_await l.wait();`
    ///
    /// *Suspends* while the count is not 0. *Threads*: any. *Cancel*: withdrawn. An arm of select. The latch
    /// may be destroyed as soon as this has returned, as an event may.
    [[nodiscard]] detail::gate_op wait() noexcept { return detail::gate_op(gate_); }
    /// `co_await l.arrive_and_wait();` counts down and waits.
    ///
    /// *Cancel*: a task that is cancelled before does not arrive; one that is cancelled while it waits has
    /// arrived. So it is no arm of select: call `count_down`, and select on `wait`.
    [[nodiscard]] detail::arrive_op arrive_and_wait(std::size_t k = 1) noexcept {
        return detail::arrive_op(*this, gate_, k);
    }
    /// Waits on a plain thread, which sleeps meanwhile. Terminates on a loop's own thread.
    void wait_blocking() noexcept;

private:
    friend class detail::arrive_op;
    bool down(std::size_t k, detail::work_list& ready) noexcept; // with the lock held; true at 0

    detail::gate gate_;
    std::size_t count_; // guarded by the gate's lock
    std::source_location where_;
};

} // namespace levada
