#pragma once

#include <source_location>
#include <utility>

#include <levada/task/spawn.hpp>

namespace levada {
class event_loop;
}

namespace levada::detail {

/// `spawn_on(loop, f, args...)`, with the place that asked for it.
template <class F, class... A>
auto spawn_on_at(const std::source_location& where, event_loop& loop, F&& f, A&&... args) {
    check_startable<F, A...>();
    task_block& parent = current_task("spawn_on");
    auto& made = make_task_block(loop, where, joined_end(), std::forward<F>(f), std::forward<A>(args)...);
    made.pin();
    return launch_with_handle(made, *parent.current());
}

} // namespace levada::detail
