#pragma once

#include <coroutine>
#include <utility>

#include <levada/detail/engine/promise.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada::detail {

/// The frame of a task, for those who run it.
struct task_access {
    /// Takes the frame, which has not run yet.
    template <class T>
    [[nodiscard]] static std::coroutine_handle<promise<T>> release(task<T>& t) noexcept {
        if (!t.frame_) fatal("a task was awaited twice, or after it was moved from");
        return std::exchange(t.frame_, nullptr);
    }
    template <class T>
    [[nodiscard]] static std::coroutine_handle<promise<T>> release(task<T>&& t) noexcept {
        return release(t);
    }
};

} // namespace levada::detail
