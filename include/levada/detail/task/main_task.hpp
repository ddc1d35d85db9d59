#pragma once

#include <cstddef>
#include <string>
#include <system_error>
#include <utility>

#include <levada/base/executor.hpp>
#include <levada/detail/task/handle_access.hpp>
#include <levada/detail/task/started_block.hpp>
#include <levada/task/join_handle.hpp>

namespace levada::detail {

/// Starts `f(args...)` on a loop from outside of it, as its main task.
template <class F, class... A>
auto start_main(executor& loop, const std::source_location& where, F&& f, A&&... args) {
    check_startable<F, A...>();
    auto& made = make_task_block(loop, where, joined_end(), std::forward<F>(f), std::forward<A>(args)...);
    return launch_with_handle(made, loop.local_root());
}

/// The value of a main task that has ended; throws what it threw, or the reason why it was cancelled.
template <class T>
T main_value(join_handle<T>& handle) {
    auto& block = handle_access::block(handle);
    (void)block.take_handle();
    if (block.has(task_flag::failed)) std::rethrow_exception(block.take_exception());
    if (block.has(task_flag::cancelled))
        throw std::system_error(block.reason(), "the main task was cancelled");
    return block.take_value();
}

/// All tasks of a loop and those that share its root, a line each: its name, where it was started, what it
/// waits for; and below it, a line for each frame, where that awaits.
[[nodiscard]] std::string list_tasks(executor& loop);

} // namespace levada::detail
