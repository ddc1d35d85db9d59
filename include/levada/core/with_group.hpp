#pragma once

#include <exception>
#include <optional>
#include <source_location>
#include <system_error>
#include <utility>

#include <levada/core/boundary.hpp>
#include <levada/core/task_group.hpp>

namespace levada {

namespace detail {

template <class F, class T>
class [[nodiscard]] with_group_op final : public body_boundary<T> {
public:
    template <class G>
    with_group_op(G&& body, const std::source_location& where)
        : body_(std::forward<G>(body)), where_(where) {}
    with_group_op(with_group_op&&) = delete;

    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        control& task = h.promise().owner();
        this->enter(node_kind::scope, task, h.promise());
        return this->start(task, [this]() -> decltype(auto) {
            group_.emplace(this->node(), where_);
            return std::invoke(body_, *group_);
        });
    }
    T await_resume() {
        if (this->threw()) this->rethrow();
        group_->throw_first_failure(true);
        if constexpr (std::is_void_v<T>) {
            if (!this->unwound()) this->take();
        } else {
            // Its own group was cancelled, so there is no value to give.
            if (this->unwound())
                throw std::system_error(this->reason(), "with_group: the body was cancelled");
            return this->take();
        }
    }

private:
    bool body_done(control&, bool) noexcept override {
        if (!group_) return true; // there was no memory for it
        // The first failure stops the others; a body that ended well waits for them.
        if (this->threw()) group_->cancel();
        return !group_->await_idle();
    }
    bool cut_short() const noexcept override { return group_ && group_->was_cut(); }

    F body_;
    std::source_location where_;
    std::optional<task_group> group_;
};

} // namespace detail

/// `co_await with_group([&](task_group& g) -> task<T> {...})` runs the body with a group of its own, waits
/// for the group's tasks, and gives the body's value.
///
/// When the body throws or is cancelled, the tasks are cancelled and joined. When a task fails, the body and
/// the other tasks are cancelled and joined, and the failure is rethrown. When the group is cancelled by
/// `g.cancel()` and the body unwinds, a `with_group` without a value returns; one that owes a value throws
/// `std::system_error` with the reason.
template <class F>
[[nodiscard]] auto with_group(F&& body, const std::source_location& where = std::source_location::current()) {
    detail::check_natural<F>();
    static_assert(std::invocable<std::decay_t<F>&, task_group&>, "the body takes a task_group&");
    detail::check_returned<std::invoke_result_t<std::decay_t<F>&, task_group&>>();
    using T = typename detail::task_value<std::invoke_result_t<std::decay_t<F>&, task_group&>>::type;
    return detail::with_group_op<std::decay_t<F>, T>(std::forward<F>(body), where);
}

} // namespace levada
