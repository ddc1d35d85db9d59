#pragma once

#include <coroutine>

#include <levada/detail/engine/await_site.hpp>
#include <levada/detail/engine/promise.hpp>
#include <levada/detail/task/task_access.hpp>
#include <levada/detail/task/task_frame.hpp>

namespace levada::detail {

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
    return task_awaiter<T>(task_access::release(t), await_site(at));
}
template <class T>
task_awaiter<T> promise_base::await_transform(levada::task<T>& t, const void* at) const noexcept {
    return task_awaiter<T>(task_access::release(t), await_site(at));
}

} // namespace levada::detail
