#pragma once

#include <levada/base/errc.hpp>
#include <levada/base/park.hpp>
#include <levada/base/result.hpp>

namespace levada::detail {

/// Waits for an arm on a plain thread. False when `deadline`, on the steady clock, came first: the arm has
/// let go then. Terminates on a loop's own thread.
[[nodiscard]] bool block_on_arm(arm& a, time_point deadline) noexcept;

template <class Op>
auto block_on(Op& op, time_point deadline) noexcept -> typename Op::outcome {
    if (!block_on_arm(op, deadline)) return fail(errc::timed_out);
    return op.take();
}

/// The same without a deadline, for what cannot fail.
template <class Op>
auto block_on(Op& op) noexcept {
    (void)block_on_arm(op, time_point::max());
    return op.take();
}

} // namespace levada::detail
