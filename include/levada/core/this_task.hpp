#pragma once

#include <string>
#include <utility>

#include <levada/base/awaitable.hpp>
#include <levada/cancel/token.hpp>
#include <levada/core/control.hpp>

namespace levada {

namespace detail {

/// `co_await this_task::yield()`
class [[nodiscard]] yield_op final : public operation, public awaitable_tag {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<P> h) noexcept {
        control& task = h.promise().owner();
        if (task.is_cancelled()) return !task.answer_or_unwind(h.promise().frame(), *this);
        task.yield(h.promise().frame());
        return true;
    }
    void await_resume() const noexcept {}
    bool withdraw() noexcept override { return true; }
    void describe(std::string& out) const override { out += "yield"; }
};

} // namespace detail

/// The calling task. All but `unwinding` terminate outside of a task.
namespace this_task {

/// Lets the other ready tasks run. *Suspends* always, until its turn comes. *Cancel*: an operation.
[[nodiscard]] inline detail::yield_op yield() noexcept { return {}; }
/// The token that cancels the calling task where it stands: that of its innermost boundary, or its own.
[[nodiscard]] cancel_token token() noexcept;
/// Names the task, for dumps and messages.
void name(std::string name);
[[nodiscard]] std::string name();
/// Whether a cancel is unwinding the calling task: for guards that tell it from an ordinary exit.
[[nodiscard]] bool unwinding() noexcept;

} // namespace this_task
} // namespace levada
