#pragma once

#include <cstddef>
#include <iosfwd>

namespace levada::debug {

/// Writes all live tasks of all loops of the process: the name of each, where it was started, what it waits
/// for and for how long; channels with what they hold and who waits at them; and below, a line for each of
/// its frames, where that awaits. Then the deadlocks, as `find_deadlocks` does. Gives how many tasks there
/// are.
///
/// The program goes on meanwhile: nothing is stopped, and what it shows of a task is as it was when that was
/// looked at. Times are some milliseconds coarse. It takes the caller half a microsecond a task or so, and
/// blocks it while the stream does: on a loop, call it by `offload`. *Threads*: any.
std::size_t dump_tasks(std::ostream& out);

/// Writes the tasks that wait for each other and for nobody else, those in a circle first, and gives their
/// number.
///
/// It knows who holds a mutex, whom a join and a group's wait wait for, and which tasks hold the counted ends
/// of a channel (`make_ends`) that has no other handles; whoever waits for something else, or has a deadline,
/// is not counted among the stuck. An end is taken to be with the task that made or moved it last, and a
/// mutex to be held by the one that locked it. *Threads*: any.
std::size_t find_deadlocks(std::ostream& out);

} // namespace levada::debug
