#pragma once

#include <csignal>
#include <initializer_list>

namespace levada::debug {

/// From now on, until the runtime ends, each of these signals makes the program write its tasks to stderr, as
/// `dump_tasks` does, and go on: `kill -QUIT`, or Ctrl-\ on a terminal.
///
/// A loop that is stuck in a computation does not see the signal while it is the one that this was called on.
/// The dump is written on a thread of its own, by `offload`. Throws `std::system_error` for what is no
/// signal, or cannot be caught. In a task on an `event_loop`. (After Go's SIGQUIT, which ends the program.)
void dump_on_signal(std::initializer_list<int> signals = {SIGQUIT});

} // namespace levada::debug
