#pragma once

#include <coroutine>
#include <utility>

#include <levada/detail/engine/promise.hpp>
#include <levada/detail/task/task_awaiter.hpp>

namespace levada {

namespace detail {
struct task_access;
}

/// A coroutine that gives a `T` (a value, a reference, void; move-only types too).
///
/// It is lazy: its body runs when it is awaited, once, by a coroutine that is itself a task, or when `go`,
/// `spawn` or a group started its function. `co_await t` gives the value or throws what the body threw;
/// it is not an operation, so it does not unwind a cancelled task by itself. The frame of an awaited task
/// goes when the await is over; that of a task never awaited goes with the task object.
template <class T>
class [[nodiscard("a task does nothing until it is awaited")]] task {
public:
    using promise_type = detail::promise<T>;
    using value_type = T;

    task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    task& operator=(task&& other) noexcept {
        if (this != &other) {
            if (frame_) frame_.destroy();
            frame_ = std::exchange(other.frame_, nullptr);
        }
        return *this;
    }
    ~task() {
        if (frame_) frame_.destroy();
    }

private:
    friend promise_type;
    friend struct detail::task_access;
    explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
    std::coroutine_handle<promise_type> frame_;
};

} // namespace levada

// What it is made of; needs the class above.
#include <levada/detail/task/return_object.hpp>
