#pragma once

#include <coroutine>

#include <levada/detail/engine/promise.hpp>
#include <levada/task/task.hpp>

namespace levada::detail {

// The task that a coroutine gives to its caller.

template <class T>
task<T> promise<T>::get_return_object() noexcept {
    return task<T>(std::coroutine_handle<promise>::from_promise(*this));
}
inline task<void> promise<void>::get_return_object() noexcept {
    return task<void>(std::coroutine_handle<promise>::from_promise(*this));
}

} // namespace levada::detail
