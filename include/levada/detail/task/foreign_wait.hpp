#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <source_location>
#include <type_traits>
#include <utility>

#include <levada/base/executor.hpp>
#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/promise.hpp>
#include <levada/detail/task/handle_access.hpp>
#include <levada/detail/task/started_block.hpp>
#include <levada/task/join_handle.hpp>
#include <levada/task/task.hpp>

namespace levada::detail {

/// What a foreign coroutine waits with.
class foreign_wait {
protected:
    /// Between the coroutine and the task that waits for it, both on one loop.
    struct line {
        foreign_wait* waits; // null once the coroutine has gone, or goes on
    };
    foreign_wait() = default;
    foreign_wait(foreign_wait&&) = delete;
    ~foreign_wait();
    /// The loop to wait on; terminates where there is none.
    [[nodiscard]] static executor& here() noexcept;
    [[nodiscard]] task_block& waiting_task() const noexcept { return handle_access::block(handle_); }

    std::coroutine_handle<> coroutine_;
    std::shared_ptr<line> line_;
    join_handle<void> handle_;
    std::exception_ptr thrown_;
};

/// `co_await` of an operation, or a task, in a foreign coroutine.
template <class Op>
class foreign_wait_for final : private foreign_wait {
    static_assert(std::is_move_constructible_v<Op>,
                  "a foreign coroutine awaits single operations and tasks: put this into a task, and await "
                  "that");

    // The task's await, in a task.
    static task<> carry(Op op, std::shared_ptr<line> with) {
        foreign_wait_for* self = nullptr;
        try {
            if constexpr (std::is_void_v<value_type>) {
                co_await std::move(op);
                self = of(*with);
                if (self) self->value_.emplace();
            } else {
                value_type value = co_await std::move(op);
                self = of(*with);
                if (self) self->value_.emplace(static_cast<value_type&&>(value));
            }
        } catch (...) {
            self = of(*with);
            if (!self) throw;
            self->thrown_ = std::current_exception();
        }
        if (!self) co_return;
        with->waits = nullptr; // what follows is the coroutine's, not the wait's; *self may go meanwhile
        self->coroutine_.resume();
    }

    template <class T>
    static T value_of(const task<T>*);
    template <class T>
    static decltype(std::declval<T&>().await_resume()) value_of(const T*);
    using value_type = decltype(value_of(static_cast<Op*>(nullptr)));

public:
    explicit foreign_wait_for(Op&& op) noexcept : op_(&op) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) {
        executor& loop = here();
        coroutine_ = h;
        line_ = std::make_shared<line>(line{this});
        auto& made =
            make_task_block(loop, std::source_location(), joined_end(), &carry, std::move(*op_), line_);
        made.pin();
        handle_ = launch_with_handle(made, loop.local_root());
    }
    value_type await_resume() {
        if (thrown_) std::rethrow_exception(thrown_);
        if constexpr (!std::is_void_v<value_type>) return static_cast<value_type&&>(value_.get());
    }

private:
    static foreign_wait_for* of(const line& with) noexcept {
        return static_cast<foreign_wait_for*>(with.waits);
    }
    Op* op_;
    value_slot<value_type> value_;
};

template <class Op>
    requires(std::derived_from<Op, awaitable_tag>)
[[nodiscard]] foreign_wait_for<Op> operator co_await(Op && op) noexcept {
    return foreign_wait_for<Op>(std::move(op));
}

} // namespace levada::detail
