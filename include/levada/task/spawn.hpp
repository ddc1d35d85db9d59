#pragma once

#include <levada/detail/task/spawn_at.hpp>
#include <levada/detail/task/starter.hpp>
#include <levada/task/join_handle.hpp>
#include <levada/task/task.hpp>

namespace levada {

/// `go(f, args...)` starts `f(args...)` as a task under the loop's root, and forgets it: when main ends it is
/// cancelled and joined. An exception from it terminates. `f` and its arguments are decay-copied and live as
/// long as the task. *Threads*: on a loop's.
LEVADA_INTERNAL_STARTER(void, go, detail::go_at)

/// `spawn(f, args...)` starts `f(args...)` as a child of the calling task, under its current token, and gives
/// the `join_handle` of what it returns. If the calling task unwinds, the child is cancelled and awaited
/// first.
LEVADA_INTERNAL_STARTER([[nodiscard]] auto, spawn, detail::spawn_at)

} // namespace levada
