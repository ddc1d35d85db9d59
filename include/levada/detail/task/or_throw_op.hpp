#pragma once

#include <coroutine>
#include <type_traits>
#include <utility>

#include <levada/detail/engine/awaitable.hpp>

namespace levada::detail {

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

} // namespace levada::detail
