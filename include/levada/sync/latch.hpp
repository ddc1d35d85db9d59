#pragma once

#include <coroutine>
#include <cstddef>
#include <source_location>

#include <levada/core/control.hpp>
#include <levada/sync/blocking.hpp>
#include <levada/sync/gate.hpp>

namespace levada {

class latch;

namespace detail {

/// `co_await l.arrive_and_wait(k)`. No arm: what has arrived cannot be taken back by one that loses.
class [[nodiscard]] arrive_op final : public awaitable_tag {
public:
    using outcome = void;
    arrive_op(latch& l, std::size_t k) noexcept;
    arrive_op(arrive_op&&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<P> h) noexcept {
        return arrive(h.promise().owner(), h.promise().frame());
    }
    void await_resume() const noexcept {}

private:
    [[nodiscard]] bool arrive(control& task, frame_handle leaf) noexcept;
    latch* latch_;
    std::size_t count_;
    gate_op wait_;
};

} // namespace detail

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
        return detail::arrive_op(*this, k);
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

inline detail::arrive_op::arrive_op(latch& l, std::size_t k) noexcept
    : latch_(&l), count_(k), wait_(l.gate_) {}

} // namespace levada
