#pragma once

// Owner sections: what only one thread has ever touched costs it no atomics, however many threads there are.
//
// The first thread that comes here owns all that the library keeps for several threads (channels, tasks,
// tokens, counts), and works on it in sections, by plain loads and stores. The second one to come ends that
// for good: it waits until the owner is in no section, and from then on everybody takes locks and exchanges.
// So a thread that does not use the library (a logger, a pool, a library's own) costs the owner nothing.
//
// Invariants:
// 1. `state` goes from `unowned` to `owned`, `ending` and `ended`, by exchanges; only `owned` has an owner.
// 2. The owner stores `inside`, then reads the state; a compiler barrier keeps the two in order.
//    Who ends it stores `ending`, has all threads of the process pass a barrier (membarrier), then reads
//    `inside`. If the owner's store came before that barrier, it is seen, and waited for; if after it, the
//    owner's read came after it too, and finds `ending`: then it is in no section, and takes the lock.
// 3. Nobody but the owner touches anything before it has read `ended` (acquire) or stored it. So whoever
//    comes later sees all that was done in sections.
// 4. A section never waits for another thread. A lock that is taken inside is free: others come later. What
//    others may hold before they come here (a std::mutex, a thread_lock) is not taken inside, except where
//    its holders never come here.
// 5. While the process has one thread, that one owns all, and its sections need not be told: whoever is
//    started later sees what was done before (glibc clears its flag before the first thread runs), and none
//    is started in a section.
// 6. Whoever runs a loop has come. So a task that the owner finds parked on a channel of its own belongs to a
//    loop that nobody but the owner runs, and may be put on that loop's queue.
// 7. In the child of a fork, which has one thread, the ownership is ended unless that thread is the owner.
//
// Borrowed: biased locking, with the barrier in place of the safepoint (Dice, Moir, Scherer, "Quickly
// Reacquirable Locks", 2003).

#include <sys/single_threaded.h>

#include <atomic>
#include <cstdint>

namespace levada::detail {

/// Who owns what the library keeps. One for the process.
struct alignas(64) ownership {
    enum class state_of : std::uint32_t { unowned, owned, ending, ended };
    std::atomic<std::uint32_t> inside{0}; // 1 while the owner is in a section; written by it alone
    std::atomic<state_of> state{state_of::unowned};

    static ownership all;
    /// Whether the calling thread became the owner.
    [[gnu::tls_model("initial-exec")]] static thread_local constinit bool mine;
};

/// A section of the owner's, for a scope. False where there is none: then the lock is to be taken.
class [[nodiscard]] owner_section {
public:
    /// What one is in: nothing, a section, one within another, or the only thread.
    enum class entered : std::uint32_t { none, outer, inner, alone };

    [[gnu::always_inline]] owner_section() noexcept : in_(enter()) {}
    [[gnu::always_inline]] ~owner_section() { leave(in_); }
    owner_section(const owner_section&) = delete;
    owner_section& operator=(const owner_section&) = delete;
    explicit operator bool() const noexcept { return in_ != entered::none; }

    /// Whether the process has one thread. What follows without a section is as good as in one.
    [[nodiscard]] static bool alone() noexcept { return __libc_single_threaded; }
    /// By hand; sections nest. On another thread than the owner's it ends the ownership, which may take as
    /// long as a section.
    [[nodiscard, gnu::always_inline]] static entered enter() noexcept {
        if (__libc_single_threaded) return entered::alone;
        if (ownership::mine) [[likely]]
            return enter_mine();
        if (ownership::all.state.load(std::memory_order_acquire) == ownership::state_of::ended)
            return entered::none;
        return come();
    }
    /// The same for what other threads may do without ending it.
    [[nodiscard, gnu::always_inline]] static entered enter_if_mine() noexcept {
        if (__libc_single_threaded) return entered::alone;
        return ownership::mine ? enter_mine() : entered::none;
    }
    /// With what `enter` gave.
    static void leave(entered in) noexcept {
        if (in == entered::outer) leave_outer();
    }
    /// The same for who is in no section, as a task that awaits is, and takes a lock if this is none.
    [[nodiscard]] static bool enter_outer() noexcept {
        return __libc_single_threaded || (ownership::mine && store_and_look());
    }
    static void leave_outer() noexcept {
        // Release: who reads it sees what was done in the section.
        ownership::all.inside.store(0, std::memory_order_release);
    }
    /// Whoever runs a loop calls this before it touches the loop's queue, alone or not: then it is the owner,
    /// or nobody is. So the owner may push to the queue of any loop.
    static void come_here() noexcept {
        if (!ownership::mine &&
            ownership::all.state.load(std::memory_order_acquire) != ownership::state_of::ended)
            leave(come());
    }
    /// From now on nobody owns anything. In no section.
    static void end_for_good() noexcept;

private:
    static entered enter_mine() noexcept {
        // Relaxed: only this thread writes it. Who ends the ownership waits for the outer section.
        if (ownership::all.inside.load(std::memory_order_relaxed) != 0) return entered::inner;
        return store_and_look() ? entered::outer : entered::none;
    }
    static bool store_and_look() noexcept {
        auto& all = ownership::all;
        all.inside.store(1, std::memory_order_relaxed); // relaxed: invariant 2 orders it
        std::atomic_signal_fence(std::memory_order_seq_cst);
        if (all.state.load(std::memory_order_acquire) == ownership::state_of::owned) [[likely]]
            return true;
        return owned_no_more();
    }
    static bool owned_no_more() noexcept; // false
    static entered come() noexcept;

    const entered in_;
};

} // namespace levada::detail
