#pragma once

#include <coroutine>
#include <functional>
#include <optional>
#include <source_location>
#include <system_error>
#include <type_traits>
#include <utility>

#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/task/region.hpp>
#include <levada/task/task_group.hpp>

namespace levada::detail {

/// `co_await with_group(f)`: the region of the body, and its group.
template <class F, class T>
class [[nodiscard]] with_group_op final : public body_region<T> {
public:
    template <class G>
    with_group_op(G&& body, const std::source_location& where)
        : body_(std::forward<G>(body)), where_(where) {}
    with_group_op(with_group_op&&) = delete;

    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        task_block& task = h.promise().owner();
        this->enter(node_kind::region, task, h.promise());
        return this->start(task, [this]() -> decltype(auto) {
            group_.emplace(task_group::body_of(this->node()), where_);
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
    bool body_done(task_block&, bool) noexcept override {
        if (!group_) return true; // there was no memory for it
        // The first failure stops the others; a body that ended well waits for them.
        if (this->threw()) group_->cancel();
        return !group_->await_idle();
    }
    bool child_was_unwound() const noexcept override { return group_ && group_->child_was_unwound(); }

    F body_;
    std::source_location where_;
    std::optional<task_group> group_;
};

} // namespace levada::detail
