#pragma once

#include <coroutine>
#include <optional>
#include <system_error>
#include <utility>

#include <levada/base/clock.hpp>
#include <levada/base/errc.hpp>
#include <levada/base/executor.hpp>
#include <levada/base/result.hpp>
#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/task/region.hpp>
#include <levada/detail/util/clock_arithmetic.hpp>
#include <levada/detail/util/timer_queue.hpp>

namespace levada::detail {

/// A call under a deadline.
template <class T, class F, class... A>
class [[nodiscard]] deadline_call final : public call_region<T, F, A...>, private timer_node {
public:
    template <class... B>
    deadline_call(std::optional<duration> after, time_point at, B&&... call)
        : call_region<T, F, A...>(std::in_place, std::forward<B>(call)...), after_(after), at_(at) {}
    deadline_call(deadline_call&&) = delete;
    ~deadline_call() { disarm(); }

    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        task_block& task = h.promise().owner();
        this->enter(node_kind::region, task, h.promise());
        on_ = task.home();
        // The timer is this loop's, so the call stays here too.
        pinned_here_ = !task.is_pinned();
        if (pinned_here_) task.pin();
        task_ = &task;
        if (after_) at_ = saturating_add(on_->now(), *after_);
        this->node().deadline = at_;
        if (at_ <= on_->now()) this->node().cancel(make_error_code(errc::timed_out));
        else if (at_ != time_point::max()) on_->add_timer(*this, at_);
        return this->start_call(task);
    }
    flat_result<T> await_resume() {
        disarm();
        return this->report();
    }

private:
    bool body_done(task_block&, bool) noexcept override {
        disarm();
        return true;
    }
    void fire() noexcept override {
        task_block& task = *task_;
        this->node().cancel(make_error_code(errc::timed_out));
        // One that is ready unwinds as soon as one that waits. Here it can neither run nor end meanwhile: its
        // loop, to which it is tied, is in `run_timers`.
        const park_state is = task.state();
        if (is == park_state::running || is == park_state::claimed) on_->hurry(task);
    }
    void disarm() noexcept {
        if (armed()) on_->remove_timer(*this);
        if (std::exchange(pinned_here_, false)) task_->unpin();
    }
    std::optional<duration> after_;
    time_point at_;
    executor* on_ = nullptr;
    task_block* task_ = nullptr;
    bool pinned_here_ = false;
};

} // namespace levada::detail
