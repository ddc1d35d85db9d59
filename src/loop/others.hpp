#pragma once

// Whether a thread that is no loop's might wake a task: what the report that all tasks are asleep has to
// know.
//
// The kernel counts the threads of the process. Of these are ours: the loops', and those of the pools, while
// their mutexes are held. Idle ones of the pools wake nobody; with a busy one the answer is "perhaps".
// ThreadSanitizer has one thread more, see `sanitizers()`. The kernel's own workers for io_uring are told by
// their flags. Each other thread is a stranger. A thread that is about to end is a stranger until the kernel
// has let go of it, and nobody hears of that; so "perhaps" means: ask again after a while.

#include <cstddef>

namespace levada::detail {

enum class others {
    none,    ///< no other thread can wake a task, until a task runs
    perhaps, ///< there are strangers, or threads of the pools are busy, or some are just ending
};

/// Asked while no loop of `loops`, which have a thread each, runs a task. What the others have posted is
/// posted before this says `none`. `closely`: for a second look, which costs some microseconds a thread.
[[nodiscard]] others look_for_others(std::size_t loops, bool closely) noexcept;

} // namespace levada::detail
