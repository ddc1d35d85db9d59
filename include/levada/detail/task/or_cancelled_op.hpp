#pragma once

#include <coroutine>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/doors.hpp>
#include <levada/detail/task/inner_op.hpp>
#include <levada/detail/util/small_array.hpp>

namespace levada::detail {

/// An operation that ends with nothing, instead of unwinding, when its task is cancelled.
template <class Op>
class [[nodiscard]] or_cancelled_op final : public any_of, public awaitable_tag {
public:
    explicit or_cancelled_op(Op&& op) : op_(std::move(op)) {}
    or_cancelled_op(or_cancelled_op&&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        list_.reset(op_.size());
        (void)op_.list(list_.data());
        return wait(h.promise().owner(), h.promise().frame(), op_.size(), no_arm);
    }
    auto await_resume() {
        using value = decltype(op_.take(0));
        if constexpr (std::is_void_v<value>) {
            if (cancelled_) return std::optional<std::monostate>();
            op_.take(settle());
            return std::optional<std::monostate>(std::in_place);
        } else {
            if (cancelled_) return std::optional<value>();
            return std::optional<value>(std::in_place, op_.take(settle()));
        }
    }
    [[nodiscard]] bool commits_on_cancel(const tree_node&) noexcept override { return cancelled_ = true; }

private:
    std::span<arm* const> arms() const noexcept override { return {list_.data(), list_.size()}; }
    inner_op<Op> op_;
    small_array<arm*, 4> list_;
    bool cancelled_ = false;
};

} // namespace levada::detail
