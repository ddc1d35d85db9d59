#pragma once

#include <pthread.h>
#include <sched.h>

namespace levada::detail {

/// Starts a thread of the library's own, which gets no signals: they go to the program's threads. Gives 0, or
/// what pthread_create says.
[[nodiscard]] int start_thread(pthread_t& made, void* (*enter)(void*), void* argument) noexcept;

/// The CPUs that a thread may use, for those that it starts.
///
/// The kernel may put a new thread behind its busy creator, where it waits for some milliseconds, though
/// other CPUs are idle. So it begins on another one by an affinity, which it gives back before anything else.
class allowed_cpus {
public:
    /// Those of the calling thread.
    allowed_cpus() noexcept;
    /// As above, and on another CPU than the caller's, if there is one. The new thread calls `take`.
    [[nodiscard]] int start_thread_elsewhere(pthread_t& made, void* (*enter)(void*),
                                             void* argument) const noexcept;
    /// The calling thread may use them all. Where they are all that its cpuset has, it follows the cpuset
    /// from now on, as one does that was never given an affinity.
    void take() const noexcept;

private:
    cpu_set_t set_; // empty if it is not known
};

} // namespace levada::detail
