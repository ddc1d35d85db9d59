#pragma once

#include <concepts>
#include <coroutine>
#include <string>
#include <system_error>
#include <utility>

#include <levada/base/executor.hpp>
#include <levada/base/result.hpp>
#include <levada/detail/loop/kernel_op.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada::detail {

/// Terminates when an entry that a user filled would break the ring's bookkeeping.
void check_submitted(const io_uring_sqe& sqe) noexcept;

/// `co_await loop.submit(prep)`
template <class F>
class [[nodiscard]] submit_op final : public kernel_awaitable<submit_op<F>> {
public:
    using outcome = result<int>;
    submit_op(executor& loop, F&& prep) : loop_(&loop), prep_(std::move(prep)) {}
    submit_op(submit_op&& other) : loop_(other.loop_), prep_(std::move(other.prep_)) {}

    template <class P>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<P> h) noexcept {
        if (h.promise().owner().home() != loop_)
            fatal("event_loop::submit was awaited by a task of another loop: use event_loop::current(), or "
                  "start the task with spawn_on(loop, ...)");
        return kernel_awaitable<submit_op<F>>::await_suspend(h);
    }
    void describe(std::string& out) const override { out += "an operation of its own in the ring"; }
    outcome take() noexcept {
        if (this->answer() < 0) return fail(std::error_code(-this->answer(), std::system_category()));
        return this->answer();
    }

private:
    void prepare(io_uring_sqe& sqe) noexcept override {
        prep_(&sqe);
        check_submitted(sqe);
    }
    executor* loop_;
    F prep_;
};

} // namespace levada::detail
