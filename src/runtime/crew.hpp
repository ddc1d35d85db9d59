#pragma once

// Loops that work together: who sleeps, who looks for work, and when threads are worth having.
//
// Invariants:
// 1. A loop's queues are its own; what others may take it puts on its `shared` list, under that list's lock.
// 2. Who shares work stores the size of its list, then looks at `idle_` and `searching_`; a loop that goes to
//    sleep counts itself in `idle_` (and out of `searching_`), then looks at all sizes once more; all of it
//    sequentially consistent. So work that is shared is seen by a loop before it sleeps, or its sharer sees a
//    sleeper and wakes one, or a searcher that has not had its last look.
// 3. Threads are started once, all or none, by the first loop. Until then it runs alone, and the process may
//    have one thread.
//
// Lock order: idle_lock_, then the mutexes of the pools (see offload_pool.hpp). The lists' locks and inboxes
// are taken alone.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <levada/base/lock.hpp>
#include <levada/core/control.hpp>
#include <levada/runtime/event_loop.hpp>

namespace levada::detail {

class crew {
public:
    /// Makes the loop of the thread that runs main. With `pinned` tasks stay where they were started.
    crew(std::size_t loops, bool pinned, bool eager);
    ~crew();
    crew(const crew&) = delete;
    crew& operator=(const crew&) = delete;

    [[nodiscard]] std::size_t size() const noexcept { return wanted_; }
    [[nodiscard]] bool pinned() const noexcept { return pinned_; }
    [[nodiscard]] bool eager() const noexcept { return eager_; }
    /// Whether work may go from one loop to another once it is seen to be worth that.
    [[nodiscard]] bool shares() const noexcept { return wanted_ > 1 && !pinned_ && !eager_; }
    [[nodiscard]] event_loop& first() noexcept { return *loops_.front(); }
    /// One of the loops; makes the others and their threads, if they are not there yet.
    [[nodiscard]] event_loop& loop(std::size_t i);
    /// Makes the other loops and starts their threads. On the first loop's thread, or before it runs.
    void start();
    [[nodiscard]] bool started() const noexcept { return started_.load(std::memory_order_acquire); }
    /// No threads could be had: the first loop is all there is.
    void give_up() noexcept { wanted_ = 1; }
    /// Ends the threads: nothing lives on their loops any more. Gives true.
    bool stop() noexcept;

    // Called by loops, on their threads.

    /// Whether somebody sleeps who could take work.
    [[nodiscard]] bool anybody_idle() const noexcept { return idle_.load(std::memory_order_relaxed) != 0; }
    /// Work was shared: wakes one loop, if one sleeps and none is looking already.
    void work_shared() noexcept;
    /// Takes work that another loop shares. True when there was some.
    [[nodiscard]] bool search(event_loop& thief) noexcept;
    /// Says that `l` goes to sleep. False when there is work after all; then it does not.
    [[nodiscard]] bool goes_idle(event_loop& l) noexcept;
    /// Says that `l` is awake. True when it was woken to look for shared work: it has to, or to pass that on.
    [[nodiscard]] bool woke_up(event_loop& l) noexcept;
    /// Before a loop sleeps, after `goes_idle`: finds out whether all loops sleep, none waits for a timer or
    /// the kernel, and no other thread could wake one; the first loop is told. Gives when to look again,
    /// since nobody tells that another thread has ended; later each time (`looks`: those since a task has
    /// run). While there are signal channels it looks again after a while in which no task ran.
    [[nodiscard]] time_point look_for_deadlock(unsigned looks) noexcept;
    [[nodiscard]] bool asleep_for_ever() const noexcept { return asleep_.load(std::memory_order_seq_cst); }

    // What loops tell the first one.
    void watch(const control* main) noexcept { main_.store(main, std::memory_order_release); }
    void shutting_down() noexcept { shutting_down_.store(true, std::memory_order_seq_cst); }
    /// After tasks ran on another loop: wakes the first if that is what it waits for.
    void report(event_loop& from) noexcept;
    [[nodiscard]] bool anything_shared() const noexcept;

private:
    std::size_t wanted_;
    const bool pinned_;
    const bool eager_;
    unsigned made_in_;                               // the process, as forks() tells it
    std::vector<std::unique_ptr<event_loop>> loops_; // written before the threads start
    std::vector<std::thread> threads_;
    std::atomic<bool> started_{false};
    std::atomic<bool> stop_{false};
    std::atomic<std::size_t> running_{0}; // threads
    std::atomic<const control*> main_{nullptr};
    std::atomic<bool> shutting_down_{false};
    std::atomic<bool> asleep_{false};

    std::atomic<std::uint32_t> idle_{0};      // the size of sleepers_
    std::atomic<std::uint32_t> searching_{0}; // loops that will look at all lists once more before they sleep
    lock idle_lock_;                          // guards what follows
    std::vector<event_loop*> sleepers_;
    time_point quiet_since_ =
        time_point::max(); // no loop has run a task since that look, while there are signals
};

} // namespace levada::detail
