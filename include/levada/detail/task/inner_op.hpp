#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/waiter.hpp>

namespace levada::detail {

/// An operation that lists several arms, as select does. (One with an `otherwise` never waits, and does not.)
template <class Op>
concept arms_operation = std::derived_from<std::remove_cvref_t<Op>, awaitable_tag> &&
                         requires(std::remove_cvref_t<Op>& op, arm** at) {
                             { op.arm_count() } -> std::convertible_to<std::size_t>;
                             { op.list_arms(at) } -> std::same_as<arm**>;
                         };
template <class Op>
concept arm_operation = arms_operation<Op> || (std::derived_from<std::remove_cvref_t<Op>, arm> &&
                                               std::derived_from<std::remove_cvref_t<Op>, awaitable_tag>);

template <class Op>
using outcome_of = typename std::remove_cvref_t<Op>::outcome;

/// An operation inside another one: its arms, and its outcome once one of them has committed.
template <class Op>
class inner_op {
public:
    explicit inner_op(Op&& op) : op_(std::move(op)) {}

    [[nodiscard]] std::size_t size() const noexcept {
        if constexpr (arms_operation<Op>) return op_.arm_count();
        else return 1;
    }
    arm** list(arm** at) {
        if constexpr (arms_operation<Op>) return op_.list_arms(at);
        else return *at = &op_, at + 1;
    }
    decltype(auto) take(std::uint32_t winner) {
        if constexpr (arms_operation<Op>) return op_.take(winner);
        else return static_cast<void>(winner), op_.take();
    }
    // What the kernel finished after a limit had won is reported as done.
    void keep_late() noexcept {
        if constexpr (requires { op_.keep_late(); }) op_.keep_late();
    }
    [[nodiscard]] bool finished_after_limit() noexcept {
        if constexpr (requires { op_.finished_after_limit(); }) return op_.finished_after_limit();
        else return false;
    }
    [[nodiscard]] Op&& release() noexcept { return std::move(op_); }

private:
    Op op_;
};

} // namespace levada::detail
