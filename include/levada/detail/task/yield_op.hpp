#pragma once

#include <coroutine>
#include <string>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/task_block.hpp>

namespace levada::detail {

/// `co_await this_task::yield()`
class [[nodiscard]] yield_op final : public operation, public awaitable_tag {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<P> h) noexcept {
        task_block& task = h.promise().owner();
        if (task.is_cancelled()) return !task.answer_or_unwind(h.promise().frame(), *this);
        task.yield(h.promise().frame());
        return true;
    }
    void await_resume() const noexcept {}
    bool withdraw() noexcept override { return true; }
    void describe(std::string& out) const override { out += "yield"; }
};

} // namespace levada::detail
