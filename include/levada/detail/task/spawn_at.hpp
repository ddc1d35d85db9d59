#pragma once

#include <source_location>
#include <utility>

#include <levada/base/executor.hpp>
#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/task/started_block.hpp>
#include <levada/detail/task/started_value.hpp>

namespace levada::detail {

/// The executor of this thread, or terminates with "`what` outside of a loop".
[[nodiscard]] executor& current_executor(const char* what) noexcept;

template <class F, class... A>
void go_at(const std::source_location& where, F&& f, A&&... args) {
    check_startable<F, A...>();
    executor& home = current_executor("go");
    make_task_block(home, where, joined_end(), std::forward<F>(f), std::forward<A>(args)...)
        .launch(home.local_root());
}

template <class F, class... A>
auto spawn_at(const std::source_location& where, F&& f, A&&... args) {
    check_startable<F, A...>();
    task_block& parent = current_task("spawn");
    auto& made =
        make_task_block(*parent.home(), where, joined_end(), std::forward<F>(f), std::forward<A>(args)...);
    return launch_with_handle(made, *parent.current());
}

} // namespace levada::detail
