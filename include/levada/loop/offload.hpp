#pragma once

#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>

#include <levada/detail/loop/offload_op.hpp>
#include <levada/detail/task/gcc12.hpp>
#include <levada/task/spawn.hpp>

namespace levada {

/// `co_await offload(f, args...)` calls `f(args...)`, a plain callable, on a thread of a pool, and gives its
/// value or throws what it threw: for what blocks or computes for long. `f` and the arguments are
/// decay-copied, and are moved into the call. Throws `std::system_error`
/// (`std::errc::resource_unavailable_try_again`) when the pool has no thread and none can be started; then
/// `f` was not called.
///
/// *Suspends* always. *Resumes* on the loop that it left. *Cancel*: a call that has not begun is withdrawn.
/// One that runs cannot be stopped: it is waited for, and then it returns, completed, and the next operation
/// unwinds; but blocking forms of the library inside of it (`recv_blocking` and its like, those that give a
/// result) end with `errc::cancelled`. Under `with_timeout` likewise. Not an arm of select: `spawn` it and
/// select on `join()`.
///
/// The pool belongs to the process. It grows while calls wait and none of its threads is idle, up to
/// `offload_limit()`, and a thread that was idle for two seconds ends. Idle threads do not hide that all
/// tasks are asleep. In the child of a fork the pool starts anew.
template <class F, class... A>
[[nodiscard]] auto offload(F&& f, A&&... args) {
    detail::refuse_destroyed_twice<F>();
    detail::check_startable<F, A...>();
    using T = std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>;
    static_assert(!detail::is_task<std::remove_cvref_t<T>>,
                  "offload calls plain functions: await the task, or use spawn");
    return detail::offload_op<T, std::decay_t<F>, std::decay_t<A>...>(std::in_place, std::forward<F>(f),
                                                                      std::forward<A>(args)...);
}

/// How many threads the pool may have: 64, unless it was set. More than are running is no error: they end as
/// they get idle. At least 1. *Threads*: any.
[[nodiscard]] std::size_t offload_limit() noexcept;
void set_offload_limit(std::size_t threads) noexcept;
/// The threads that it has now.
[[nodiscard]] std::size_t offload_threads() noexcept;

} // namespace levada
