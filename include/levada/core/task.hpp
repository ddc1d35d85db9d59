#pragma once

#include <coroutine>
#include <utility>

#include <levada/base/fatal.hpp>
#include <levada/core/promise.hpp>

namespace levada {

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

    /// For the library: takes the frame, which has not run yet.
    [[nodiscard]] std::coroutine_handle<promise_type> release() noexcept {
        if (!frame_) detail::fatal("a task was awaited twice, or after it was moved from");
        return std::exchange(frame_, nullptr);
    }

private:
    friend promise_type;
    explicit task(std::coroutine_handle<promise_type> frame) noexcept : frame_(frame) {}
    std::coroutine_handle<promise_type> frame_;
};

namespace detail {

template <class T>
task<T> promise<T>::get_return_object() noexcept {
    return task<T>(std::coroutine_handle<promise>::from_promise(*this));
}
inline task<void> promise<void>::get_return_object() noexcept {
    return task<void>(std::coroutine_handle<promise>::from_promise(*this));
}

/// Erases the type of a frame; every promise lies at the same distance from its frame.
template <class T>
[[nodiscard]] frame_handle erase(std::coroutine_handle<promise<T>> h) noexcept {
    static_assert(alignof(promise<T>) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    return frame_handle::from_address(h.address());
}
template <class T>
[[nodiscard]] std::coroutine_handle<promise<T>> typed(frame_handle h) noexcept {
    return std::coroutine_handle<promise<T>>::from_address(h.address());
}

/// Destroys a finished frame, whatever happens while its value is taken.
template <class T>
class frame_owner {
public:
    explicit frame_owner(std::coroutine_handle<promise<T>> h) noexcept : frame_(h) {}
    ~frame_owner() { frame_.destroy(); }
    frame_owner(const frame_owner&) = delete;
    frame_owner& operator=(const frame_owner&) = delete;
    T take() { return frame_.promise().take(); }

private:
    std::coroutine_handle<promise<T>> frame_;
};

/// Awaits a task: takes over its frame. The run loop resumes it, so that awaits nest without a stack.
template <class T>
class task_awaiter {
public:
    task_awaiter(std::coroutine_handle<promise<T>> h, await_site at) noexcept
        : frame_(h), link_{nullptr, at} {}
    bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) noexcept {
        promise_base& parent = h.promise();
        link_.frame = &parent;
        frame_.promise().attach(parent.owner(), &link_, false);
        frame_.promise().resume_next();
    }
    T await_resume() const { return frame_owner<T>(frame_).take(); }

private:
    std::coroutine_handle<promise<T>> frame_;
    await_link link_;
};

template <class T>
task_awaiter<T> promise_base::await_transform(levada::task<T>&& t, const void* at) const noexcept {
    return task_awaiter<T>(t.release(), await_site(at));
}
template <class T>
task_awaiter<T> promise_base::await_transform(levada::task<T>& t, const void* at) const noexcept {
    return task_awaiter<T>(t.release(), await_site(at));
}

} // namespace detail
} // namespace levada
