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
/// It knows who locked a mutex, whom a join and a group's wait wait for, and which tasks were given the
/// counted ends of a channel (`make_ends`) as arguments; an end that lies elsewhere, or with a task that has
/// started others and so may have lent it, and a handle beside the ends, may belong to anybody. Whoever waits
/// for anything else, or has a deadline, is not counted among the stuck. A mutex is taken to be held by the
/// one that locked it, though its guard may have moved on. *Threads*: any.
std::size_t find_deadlocks(std::ostream& out);

} // namespace levada::debug
