#pragma once

#include <levada/base/errc.hpp>
#include <levada/base/result.hpp>
#include <levada/detail/engine/waiter.hpp>

namespace levada::detail {

enum class block_end { done, timed_out, cancelled };

/// Waits for an arm on a plain thread. Unless it is done the arm has let go: `deadline`, on the steady clock,
/// came first, or the blocking_scope that the thread is in was cancelled. Terminates on a loop's own thread.
[[nodiscard]] block_end block_on_arm(arm& a, time_point deadline, bool cancellable) noexcept;

template <class Op>
auto block_on(Op& op, time_point deadline) noexcept -> typename Op::outcome {
    switch (block_on_arm(op, deadline, true)) {
        case block_end::timed_out: return fail(errc::timed_out);
        case block_end::cancelled: return fail(errc::cancelled);
        default: return op.take();
    }
}

/// The same without a deadline, for what cannot fail. It is not cancelled either.
template <class Op>
auto block_on(Op& op) noexcept {
    (void)block_on_arm(op, time_point::max(), false);
    return op.take();
}

/// Work on a plain thread for a task: when the task is cancelled, what blocks on this thread ends.
class blocking_scope {
public:
    blocking_scope() = default;
    blocking_scope(const blocking_scope&) = delete;
    blocking_scope& operator=(const blocking_scope&) = delete;

    // On the thread that works.
    void enter() noexcept;
    void leave() noexcept;

    /// *Threads*: any.
    void cancel() noexcept;

private:
    friend block_end block_on_arm(arm& a, time_point deadline, bool cancellable) noexcept;
    thread_lock lock_; // guards what follows
    bool cancelled_ = false;
    waiter* waits_ = nullptr;
};

} // namespace levada::detail
