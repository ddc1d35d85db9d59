#pragma once

// Coroutines of others: our tasks await their awaitables, and their coroutines await our operations and
// tasks.
//
// A task that awaits a foreign awaitable is parked on it as on an operation, of the kind that cannot be taken
// back. What it gives to `await_suspend` is the handle of a small coroutine of its own, which may be resumed
// on any thread, and posts the task to its loop. A task that is cancelled meanwhile waits for that, gets the
// value, and unwinds at its next operation; one that is cancelled before does not begin to wait. If the
// foreign side destroys the handle instead of resuming it, the await throws `std::system_error`
// (`operation_canceled`).
//
// A foreign coroutine awaits an operation, or a task, on a thread where an executor is current: in a function
// posted to a loop, or wherever a task or such a coroutine runs. A task of ours does the waiting, pinned to
// that loop, and resumes the coroutine there. Nothing unwinds in it. If the coroutine is destroyed meanwhile,
// on that thread, the task is cancelled: a channel operation withdraws; what the kernel has of the operation
// is taken back before the destructor returns, since its buffer may be about to go, and the outcome is
// dropped if it came all the same. That holds for the operation that is awaited, and for the one that an
// awaited task waits for, but not for what such a task has started (children, offload): those must not use
// the coroutine's frame. When the loop is shut down, the coroutine is not resumed: it is its owner's to
// destroy.

#include <levada/detail/task/foreign_await.hpp>
#include <levada/detail/task/foreign_wait.hpp>
#include <levada/task/task.hpp>

namespace levada {

template <class T>
[[nodiscard]] detail::foreign_wait_for<task<T>> operator co_await(task<T>&& t) noexcept {
    return detail::foreign_wait_for<task<T>>(std::move(t));
}

} // namespace levada
