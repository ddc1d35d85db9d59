#pragma once

#include <coroutine>
#include <system_error>
#include <type_traits>
#include <utility>

#include <levada/base/awaitable.hpp>
#include <levada/base/result.hpp>
#include <levada/core/task.hpp>

namespace levada {
namespace detail {

/// Awaits as `Op` does, and unwraps its result.
template <class Op>
class [[nodiscard]] or_throw_op final : public awaitable_tag {
public:
    explicit or_throw_op(Op&& op) : op_(std::move(op)) {}
    or_throw_op(or_throw_op&&) = delete;
    [[nodiscard]] bool await_ready() noexcept { return op_.await_ready(); }
    template <class P>
    auto await_suspend(std::coroutine_handle<P> h) noexcept(noexcept(op_.await_suspend(h))) {
        return op_.await_suspend(h);
    }
    auto await_resume() {
        using value = typename std::remove_cvref_t<decltype(op_.await_resume())>::value_type;
        if constexpr (std::is_void_v<value>) op_.await_resume().value();
        else return static_cast<value>(op_.await_resume().value());
    }

private:
    Op op_;
};

} // namespace detail

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
