#pragma once

// Loops that work together: who sleeps, who looks for work, and when threads are worth having.
//
// Invariants:
// 1. A loop's queues are its own; what others may take it puts on its `shared` list, under that list's lock.
// 2. Who shares work stores the size of its list, then looks at `idle_` and `searching_`; a loop that goes to
//    sleep counts itself in `idle_` (and out of `searching_`), then looks at all sizes once more; all of it
//    sequentially consistent. So work that is shared is seen by a loop before it sleeps, or its sharer sees a
//    sleeper and wakes one, or a searcher that has not had its last look.
// 3. The loops' threads are started once, all or none. Until then the first loop runs alone, and there is at
//    most the watcher's thread (watcher.hpp) beside it, which becomes the second loop's; where there is none,
//    the first loop starts one. It makes the other loops and their threads, and a new watcher's, while the
//    first goes on; `phase_` says how far it is. Whoever changes it to `starting` has them started. Until it
//    is `started` or `failed`, the thread that starts them owns `loops_` but for its first, and `threads_`;
//    from then on the first loop's thread does.
//
// Lock order: idle_lock_, then the mutexes of the pools (see offload_pool.hpp). The lists' locks and inboxes
// are taken alone.

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <vector>

#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/util/lock.hpp>
#include <levada/loop/event_loop.hpp>

#include "library_thread.hpp"
#include "ticks.hpp"
#include "watcher.hpp"

namespace levada::detail {

class loop_group {
public:
    /// Makes the loop of the thread that runs main. With `pinned` tasks stay where they were started.
    loop_group(std::size_t loops, bool pinned, bool eager);
    ~loop_group();
    loop_group(const loop_group&) = delete;
    loop_group& operator=(const loop_group&) = delete;

    // relaxed: it changes once, and nothing hangs on when that is seen.
    [[nodiscard]] std::size_t size() const noexcept { return wanted_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool pinned() const noexcept { return pinned_; }
    [[nodiscard]] bool eager() const noexcept { return eager_; }
    /// Whether work may go from one loop to another once it is seen to be worth that.
    [[nodiscard]] bool shares() const noexcept { return size() > 1 && !pinned_; }
    [[nodiscard]] event_loop& first() noexcept { return *first_; }
    /// One of the loops; makes the others and their threads, if they are not there yet.
    [[nodiscard]] event_loop& loop(std::size_t i);
    /// Makes the other loops and starts their threads; throws if that cannot be, and may be called again. On
    /// the first loop's thread, or before it runs.
    void start();
    /// The same, but does not wait for it. Where it cannot be, says so on stderr, and `size()` is 1 from then
    /// on.
    void start_soon() noexcept;
    [[nodiscard]] bool started() const noexcept {
        return phase_.load(std::memory_order_acquire) == phase::started;
    }
    /// Ends the threads: nothing lives on their loops any more. Gives true.
    bool stop() noexcept;

    // Called by loops, on their threads.

    /// Whether somebody sleeps who could take work.
    [[nodiscard]] bool anybody_idle() const noexcept { return idle_.load(std::memory_order_relaxed) != 0; }
    /// Whether one was woken a moment ago to take work: what is shared is left to it.
    [[nodiscard]] bool thief_comes() const noexcept {
        return searching_.load(std::memory_order_relaxed) != 0 &&
               ticks() - woken_at_.load(std::memory_order_relaxed) < a_moment;
    }
    /// Work was shared: wakes one loop, if one sleeps and none is looking already.
    void work_offered() noexcept;
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

    /// A work runs while others are ready. Starts the watcher's thread, or wakes it.
    void wake_watcher() noexcept;
    [[nodiscard]] bool watcher_rests() const noexcept { return watcher_.rests(); }

    // Called by the watcher, on its thread.

    /// Calls `f(i, loop)` for each loop that has a thread.
    template <class F>
    void for_each_loop(const F& f) {
        if (!started()) return f(std::size_t(0), *first_);
        for (std::size_t i = 0; i < loops_.size(); ++i) f(i, *loops_[i]);
    }
    /// A work of `l` computes for long: has others take what waits behind it. True where there are none, and
    /// the caller has to start them.
    [[nodiscard]] bool take_behind(event_loop& l) noexcept;

    // What loops tell the first one.
    void watch(const task_block* main) noexcept { main_.store(main, std::memory_order_release); }
    void shutting_down() noexcept { shutting_down_.store(true, std::memory_order_seq_cst); }
    /// After tasks ran on another loop: wakes the first if that is what it waits for.
    void report(event_loop& from) noexcept;
    [[nodiscard]] bool anything_offered() const noexcept;

private:
    enum class phase : std::uint32_t { alone, starting, started, failed };

    void begin_start(bool may_fail);
    [[nodiscard]] bool claim_start(bool may_fail) noexcept;
    void make_room();
    void run_watcher() noexcept;
    void watch_others() noexcept;
    [[nodiscard]] std::size_t own_threads() const noexcept;
    template <void (loop_group::*Run)() noexcept>
    void start_thread();
    template <void (loop_group::*Run)() noexcept>
    void start_thread_of(pthread_t& made);
    void start_others() noexcept;
    void watch_all() noexcept;
    void run_next() noexcept;
    void join_threads() noexcept;
    void give_up(const char* why) noexcept;

    std::atomic<std::size_t> wanted_;
    const bool pinned_;
    const bool eager_;
    unsigned made_in_;                               // the process, as forks() tells it
    std::vector<std::unique_ptr<event_loop>> loops_; // has room for all before another thread is there
    event_loop* const first_;
    std::vector<pthread_t> threads_; // likewise; the first starts the others
    std::atomic<phase> phase_{phase::alone};
    bool start_may_fail_ = false;
    watcher watcher_{*this};
    pthread_t first_watcher_{};               // whose thread may have become a loop's
    bool first_watcher_started_ = false;      // the first loop's, as first_watcher_
    std::atomic<bool> has_watcher_{false};    // a thread that is the watcher's now
    std::atomic<bool> visiting_{false};       // it has taken tasks that stand in no list for a moment
    allowed_cpus cpus_;                       // of the first thread, when it starts the second
    std::exception_ptr failure_;              // with phase::failed
    std::atomic<std::size_t> next_to_run_{1}; // of loops_
    std::atomic<bool> stop_{false};
    std::atomic<const task_block*> main_{nullptr};
    std::atomic<bool> shutting_down_{false};
    std::atomic<bool> asleep_{false};

    std::atomic<std::uint32_t> idle_{0};                          // the size of sleepers_
    static constexpr std::uint64_t a_moment = 100 * ticks_per_us; // as long as a wake-up takes, and some more
    std::atomic<std::uint64_t> woken_at_{
        0}; // ticks; relaxed, as it only says for how long to leave work to others
    std::atomic<std::uint32_t> searching_{0}; // loops that will look at all lists once more before they sleep
    thread_lock idle_lock_;                   // guards what follows
    std::vector<event_loop*> sleepers_;
    time_point quiet_since_ =
        time_point::max(); // no loop has run a task since that look, while there are signals
};

} // namespace levada::detail
