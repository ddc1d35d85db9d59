#pragma once

// Pools of threads that do what would block a loop. The process has two: one for the calls of `offload`, and
// one for look-ups of names, which may take as long as the network likes, so that no call waits for them.
//
// Invariants, under the mutex:
// 1. If a job waits, no thread is idle that was not woken for it: `idle_` counts those that wait and were not
//    woken. Nor is the limit unused, unless the system had no more threads: then whoever takes a job tries
//    again.
// 2. A job is in the list while `queued_`; whoever takes it out, a thread or its own task, has it.
// 3. `threads_` counts the threads that were made and have not left. They are made under the mutex, so
//    whoever holds it finds each of them in the kernel's count of threads too. One that leaves takes itself
//    out first; while it ends it is a stranger, which at most puts a report off.
// 4. `idle_ == threads_` and an empty list mean that none of them can wake a task, until somebody else
//    submits a job: what a job has posted was posted before its thread took the mutex to be idle again.
//
// A job that ran posts itself to its task's loop as its thread's last act with it; so the frame that it lies
// in, which waits for that, is there until then.
//
// The mutex is held while the process forks. In the child the threads are not there: the pool starts anew,
// with no thread and no job, since jobs belong to tasks of the parent.
//
// Lock order: that of the calls' pool, then that of the look-ups', then nothing.

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <system_error>

#include <levada/detail/util/intrusive_list.hpp>
#include <levada/loop/offload.hpp>

namespace levada::detail {

class offload_pool {
public:
    [[nodiscard]] static offload_pool& of_calls() noexcept;
    [[nodiscard]] static offload_pool& of_look_ups() noexcept;

    /// Gives the job to a thread. An error, and the job is nobody's, where there is none and none could be
    /// started.
    [[nodiscard]] std::error_code submit(pool_job& job) noexcept;
    /// Takes a job back. False when a thread has it, or had it.
    bool withdraw(pool_job& job) noexcept;

    [[nodiscard]] std::size_t limit() noexcept;
    void set_limit(std::size_t n) noexcept;
    [[nodiscard]] std::size_t threads() noexcept;

    // For who looks at all of them, or forks.
    static void hold_all() noexcept;
    static void let_go_of_all() noexcept;
    // While they are held:
    [[nodiscard]] static std::size_t all_threads() noexcept;
    [[nodiscard]] static bool any_busy() noexcept;
    static void start_anew() noexcept;

private:
    explicit offload_pool(std::size_t limit) noexcept;
    void run() noexcept;
    // With the mutex held.
    [[nodiscard]] int start_thread() noexcept;
    /// At most so many, for jobs that no thread is on its way to.
    void start_for_waiting(std::size_t most) noexcept;

    std::mutex mutex_; // guards all of it
    std::condition_variable wake_;
    intrusive_list<pool_job> jobs_;
    std::size_t threads_ = 0;
    std::size_t idle_ = 0;
    std::size_t woken_ = 0;    // of those that waited, and have not run yet
    std::size_t starting_ = 0; // of the new ones, that have not run yet
    std::size_t limit_;
};

} // namespace levada::detail
