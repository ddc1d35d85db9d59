#pragma once

// Signals that are on their way to a channel: what the report that all tasks are asleep has to know of them.
//
// Between the kill() of a task and the completion of the read of a channel's pipe nothing of it can be seen
// for a while: the kernel has yet to run the handler, and then to complete the read. So while there are
// channels, the report waits (see loop_group::look_for_deadlock).

#include <atomic>

namespace levada::detail {

/// Signal channels that read. *Threads*: any.
inline constinit std::atomic<unsigned> signal_channels{0};
/// Handlers of ours that run. What they have written has reached the ring of its reader before they end.
inline constinit std::atomic<unsigned> signal_handlers{0};
static_assert(std::atomic<unsigned>::is_always_lock_free, "signal handlers count themselves");

} // namespace levada::detail
