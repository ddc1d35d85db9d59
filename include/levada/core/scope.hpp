#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

#include <levada/base/errc.hpp>
#include <levada/base/result.hpp>
#include <levada/base/small_array.hpp>
#include <levada/cancel/callback.hpp>
#include <levada/cancel/token.hpp>
#include <levada/core/boundary.hpp>
#include <levada/core/natural.hpp>
#include <levada/core/spawn.hpp>
#include <levada/core/timer_arm.hpp>
#include <levada/core/wait.hpp>

namespace levada {
namespace detail {

/// A call under a deadline.
template <class T, class F, class... A>
class [[nodiscard]] deadline_call final : public call_boundary<T, F, A...>, private timer_node {
public:
    template <class... B>
    deadline_call(std::optional<duration> after, time_point at, B&&... call)
        : call_boundary<T, F, A...>(std::in_place, std::forward<B>(call)...), after_(after), at_(at) {}
    deadline_call(deadline_call&&) = delete;
    ~deadline_call() { disarm(); }

    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        control& task = h.promise().owner();
        this->enter(node_kind::scope, task, h.promise());
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
    bool body_done(control&, bool) noexcept override {
        disarm();
        return true;
    }
    void fire() noexcept override {
        control& task = *task_;
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
    control* task_ = nullptr;
    bool pinned_here_ = false;
};

/// A call under one more token.
template <class T, class F, class... A>
class [[nodiscard]] token_call final : public call_boundary<T, F, A...> {
public:
    template <class... B>
    explicit token_call(const cancel_token& token, B&&... call)
        : call_boundary<T, F, A...>(std::in_place, std::forward<B>(call)...), token_(token) {}
    token_call(token_call&&) = delete;

    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        control& task = h.promise().owner();
        this->enter(node_kind::scope, task, h.promise());
        this->node().deadline = token_.deadline();
        return this->start_call(
            task, [this] { this->node().attached = std::make_unique<link>(this->node(), token_); });
    }
    flat_result<T> await_resume() { return this->report(); }

private:
    /// Cancels the region with the token. The region's node owns it, and keeps it for what was detached
    /// there.
    class link final : public scope_node::attachment {
    public:
        link(scope_node& to, const cancel_token& from) : callback_(from, forward{&to, from}) {}

    private:
        struct forward {
            scope_node* to;
            cancel_token from;
            void operator()() noexcept {
                scope_node* const node = to;
                if (!node->try_ref()) return; // it is being destroyed, and waits for us
                node->cancel(from.reason());
                node->unref(); // may destroy *this
            }
        };
        cancel_callback<forward> callback_;
    };
    cancel_token token_;
};

/// A call that cancelling from outside does not reach.
template <class T, class F, class... A>
class [[nodiscard]] shield_call final : public call_boundary<T, F, A...> {
public:
    template <class... B>
    explicit shield_call(std::in_place_t, B&&... call)
        : call_boundary<T, F, A...>(std::in_place, std::forward<B>(call)...) {}
    shield_call(shield_call&&) = delete;

    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        control& task = h.promise().owner();
        this->enter(node_kind::shield, task, h.promise());
        return this->start_call(task);
    }
    T await_resume() {
        if (this->threw()) this->rethrow();
        return this->take();
    }
};

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
    [[nodiscard]] bool came_late() noexcept {
        if constexpr (requires { op_.came_late(); }) return op_.came_late();
        else return false;
    }
    [[nodiscard]] Op&& release() noexcept { return std::move(op_); }

private:
    Op op_;
};

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
        if (winner + first_ == op_.size() && !op_.came_late()) {
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
    [[nodiscard]] bool answer_cancel(const cancel_node&) noexcept override { return false; }

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
    [[nodiscard]] bool answer_cancel(const cancel_node&) noexcept override { return cancelled_ = true; }

private:
    std::span<arm* const> arms() const noexcept override { return {list_.data(), list_.size()}; }
    inner_op<Op> op_;
    small_array<arm*, 4> list_;
    bool cancelled_ = false;
};

} // namespace detail

/// `co_await with_deadline(t, f, args...)` runs `f(args...)` and gives `result<T>`: its value, or
/// `errc::timed_out` if the deadline passed and the call was unwound. A call that returns all the same gives
/// its value. A cancel from outside unwinds through. `f` and the arguments are kept until it ends.
template <class F, class... A>
    requires(!detail::arm_operation<F>)
[[nodiscard]] auto with_deadline(time_point at, F&& f, A&&... args) {
    detail::check_natural<F>();
    detail::check_startable<F, A...>();
    using T = detail::started_value<F, A...>;
    return detail::deadline_call<T, std::decay_t<F>, std::decay_t<A>...>(std::nullopt, at, std::forward<F>(f),
                                                                         std::forward<A>(args)...);
}
/// The same, `d` after the call began.
template <class Rep, class Period, class F, class... A>
    requires(!detail::arm_operation<F>)
[[nodiscard]] auto with_timeout(std::chrono::duration<Rep, Period> d, F&& f, A&&... args) {
    detail::check_natural<F>();
    detail::check_startable<F, A...>();
    using T = detail::started_value<F, A...>;
    return detail::deadline_call<T, std::decay_t<F>, std::decay_t<A>...>(
        std::optional<duration>(detail::to_duration(d)), time_point::max(), std::forward<F>(f),
        std::forward<A>(args)...);
}
/// The same under one more token: the code is the token's reason.
template <class F, class... A>
    requires(!detail::arm_operation<F>)
[[nodiscard]] auto with_token(const cancel_token& token, F&& f, A&&... args) {
    detail::check_natural<F>();
    detail::check_startable<F, A...>();
    using T = detail::started_value<F, A...>;
    return detail::token_call<T, std::decay_t<F>, std::decay_t<A>...>(token, std::forward<F>(f),
                                                                      std::forward<A>(args)...);
}

/// The same around one operation, which costs no frame: `co_await with_timeout(1s, ch.recv())`. What is ready
/// at once is taken, even after the deadline.
template <detail::arm_operation Op>
    requires(!std::is_lvalue_reference_v<Op>)
[[nodiscard]] auto with_deadline(time_point at, Op&& op) {
    return detail::bounded_op<Op, detail::timer_arm>(std::move(op), detail::timer_arm(at), false);
}
template <class Rep, class Period, detail::arm_operation Op>
    requires(!std::is_lvalue_reference_v<Op>)
[[nodiscard]] auto with_timeout(std::chrono::duration<Rep, Period> d, Op&& op) {
    return detail::bounded_op<Op, detail::timer_arm>(std::move(op), detail::timer_arm(detail::to_duration(d)),
                                                     false);
}
/// Around one operation under a token: nothing is done once the token is cancelled.
template <detail::arm_operation Op>
    requires(!std::is_lvalue_reference_v<Op>)
[[nodiscard]] auto with_token(const cancel_token& token, Op&& op) {
    return detail::bounded_op<Op, detail::done_op>(std::move(op), token.done(), true);
}

/// `co_await shield(f, args...)` runs `f(args...)` without being cancelled from outside, and gives its value:
/// for what has to be finished on the way out. The next operation after it unwinds.
template <class F, class... A>
[[nodiscard]] auto shield(F&& f, A&&... args) {
    detail::check_natural<F>();
    detail::check_startable<F, A...>();
    using T = detail::started_value<F, A...>;
    return detail::shield_call<T, std::decay_t<F>, std::decay_t<A>...>(std::in_place, std::forward<F>(f),
                                                                       std::forward<A>(args)...);
}

/// `co_await or_cancelled(op)` gives the outcome as an optional, which is empty when the task was cancelled:
/// instead of unwinding, once per cancel. The next operation unwinds.
template <detail::arm_operation Op>
    requires(!std::is_lvalue_reference_v<Op>)
[[nodiscard]] auto or_cancelled(Op&& op) {
    return detail::or_cancelled_op<Op>(std::move(op));
}

} // namespace levada
