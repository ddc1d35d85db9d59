#pragma once

namespace levada::debug {

/// From now on, what is lost in the program is told on stderr as it happens, with where it was started and
/// where it waits: a `join_handle` that is dropped, and so cancels a task that goes on; tasks that still live
/// when the main task has ended, and are cancelled. Neither is an error: a server may end that way. Off at
/// first. *Threads*: any.
void report_leaks(bool on = true) noexcept;

} // namespace levada::debug
