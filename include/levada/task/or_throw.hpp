#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/task/or_throw_op.hpp>
#include <levada/task/task.hpp>

namespace levada {

/// `co_await or_throw(op)` gives the operation's value, or throws `std::system_error` with its code: Go's
/// plain `ch <- v`. Takes a task of a result too.
template <class Op>
    requires(std::derived_from<Op, detail::awaitable_tag> && !std::is_lvalue_reference_v<Op>)
[[nodiscard]] auto or_throw(Op&& op) {
    return detail::or_throw_op<Op>(std::move(op));
}
template <class T>
    requires(detail::is_result<T>)
[[nodiscard]] task<typename T::value_type> or_throw(task<T> t) {
    T r = co_await std::move(t);
    if constexpr (std::is_void_v<typename T::value_type>) r.value();
    else co_return std::move(r).value();
}

} // namespace levada
