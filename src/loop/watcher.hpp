#pragma once

// Sees when a task computes for so long that what waits behind it had better run elsewhere.
//
// A loop cannot see that itself: it looks between steps. So a thread of the group looks at the loops now and
// then, as long as one of them runs: whose thread computes, while it runs the same work as before and others
// wait, is visited. If there is one loop only, that thread becomes the second one.
//
// Invariants:
// 1. A loop that runs a work while another is ready has woken the watcher, or has seen it awake since it got
//    up. (The first time that starts the thread.)
// 2. A loop that gets up clears `rests_`, then reads `rests()`. The watcher that wants to rest stores that,
//    has all threads of the process pass a barrier, then looks at the loops' `rests_` once more. So the loop
//    sees that it rests, and wakes it, or it sees the loop, and goes on.
// 3. A thread that was preempted, or sleeps in a call, has not computed: the watcher asks for its processor
//    time. It ends the ownership of all (owner_section.hpp) only where there is something to take.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace levada {
class event_loop;
}

namespace levada::detail {

class loop_group;

class watcher {
public:
    explicit watcher(loop_group& group) noexcept : group_(group) {}

    /// Wakes it. *Threads*: any.
    void wake() noexcept;
    // acquire, as the loop's `rests_` that is stored before: see invariant 2.
    [[nodiscard]] bool rests() const noexcept { return rests_.load(std::memory_order_acquire); }

    /// Before a thread of its own is started.
    void begin() noexcept;
    /// What its thread does, until it is told to end, or is to do something else: then true.
    [[nodiscard]] bool run() noexcept;
    /// Makes `run` return: false, or true. *Threads*: any.
    void end() noexcept;
    void call_away() noexcept;
    /// In the child of a fork: the thread is not here.
    void forget_thread() noexcept;

private:
    struct seen {
        std::uint64_t ran = 0;       // works, at the last look
        std::uint64_t processor = 0; // when that number was first seen
        bool known = false;
    };
    enum class order : std::uint8_t { watch, end, go };

    /// Looks at all loops. True if all of them rest.
    [[nodiscard]] bool look() noexcept;
    [[nodiscard]] bool all_rest() noexcept;
    [[nodiscard]] bool computes_for_long(event_loop& l, seen& before) noexcept;

    loop_group& group_;
    // The watcher's own.
    std::vector<seen> seen_;
    bool has_claimed_ = false; // the start of other loops, which it begins next
    std::atomic<bool> rests_{true};
    std::mutex mutex_; // guards what follows
    std::condition_variable wake_;
    order order_ = order::watch;
};

} // namespace levada::detail
