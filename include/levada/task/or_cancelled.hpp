#pragma once

#include <type_traits>
#include <utility>

#include <levada/detail/task/inner_op.hpp>
#include <levada/detail/task/or_cancelled_op.hpp>

namespace levada {

/// `co_await or_cancelled(op)` gives the outcome as an optional, which is empty when the task was cancelled:
/// instead of unwinding, once per cancel. The next operation unwinds.
template <detail::arm_operation Op>
    requires(!std::is_lvalue_reference_v<Op>)
[[nodiscard]] auto or_cancelled(Op&& op) {
    return detail::or_cancelled_op<Op>(std::move(op));
}

} // namespace levada
