#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>

#include <levada/base/errc.hpp>
#include <levada/base/result.hpp>
#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/doors.hpp>
#include <levada/detail/task/inner_op.hpp>
#include <levada/detail/util/small_array.hpp>

namespace levada::detail {

/// An operation that ends with a code when another arm, a timer or a token, comes first.
template <class Op, class Limit>
class [[nodiscard]] bounded_op final : public any_of, public awaitable_tag {
public:
    bounded_op(Op&& op, Limit&& limit, bool limit_first)
        : op_(std::move(op)), limit_(std::move(limit)), limit_first_(limit_first) {
        op_.keep_late();
    }
    bounded_op(bounded_op&& other)
        : bounded_op(other.op_.release(), std::move(other.limit_), other.limit_first_) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        list_.reset(op_.size() + 1);
        // A limit that goes first and is reached already is the only arm.
        first_ = limit_first_ && limit_.may_commit() ? op_.size() : 0;
        *op_.list(list_.data()) = &limit_;
        return wait(h.promise().owner(), h.promise().frame(), first_ == 0 ? op_.size() : 0, no_arm);
    }
    flat_result<outcome_of<Op>> await_resume() {
        const std::uint32_t winner = settle();
        if (winner + first_ == op_.size() && !op_.finished_after_limit()) {
            if constexpr (std::is_void_v<decltype(limit_.take())>)
                return fail(make_error_code(errc::timed_out));
            else return fail(limit_.take());
        }
        if constexpr (std::is_void_v<decltype(op_.take(winner))>) {
            op_.take(winner);
            return {};
        } else {
            return op_.take(winner);
        }
    }
    // A cancel of the task itself unwinds through, even if the token is the task's own.
    [[nodiscard]] bool commits_on_cancel(const tree_node&) noexcept override { return false; }

private:
    std::span<arm* const> arms() const noexcept override {
        return {list_.data() + first_, list_.size() - first_};
    }
    inner_op<Op> op_;
    Limit limit_;
    bool limit_first_;
    std::size_t first_ = 0;
    small_array<arm*, 4> list_;
};

} // namespace levada::detail
