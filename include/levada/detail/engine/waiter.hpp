#pragma once

// Parking: how whoever waits is claimed by exactly one of those who may wake it.
//
// Invariants:
// 1. A waiter's word changes from `arming` or `parked` to a claimed state once per epoch; that one change
//    decides between completion by a peer, a timer, a token, and cancelling. Every park begins a new epoch.
// 2. Who claims a waiter that is `parked` makes it run again, by posting it after all locks are let go.
//    Who claims one that is still `arming` does not: the waiter sees it when it publishes.
// 3. After it has published, the parking thread touches neither the operation nor its frame.
// 4. Peers reach an operation only under the lock of what it is linked to; the operation is unlinked under
//    that lock before its frame goes. So an epoch need be compared only by those who hold no such lock:
//    cancellers.
// 5. Who looks at what a task is parked on, for a dump, changes `parked` to `looked_at` and back. Meanwhile
//    nobody can claim it, so the operation and the frames stay; whoever wants to claim it waits. The one who
//    looks takes no lock meanwhile, since the one who waits may hold it.

#include <atomic>
#include <cstdint>
#include <string>

#include <levada/base/executor.hpp>
#include <levada/detail/engine/trace_hooks.hpp>
#include <levada/detail/engine/work_list.hpp>
#include <levada/detail/util/lock.hpp>

namespace levada::detail {

enum class park_state : std::uint8_t {
    running,   // runs, or is ready to; once it has parked and was claimed, the word stays `claimed` instead
    arming,    // links its operations; may be claimed, by one who then does not post it
    parked,    // waits; may be claimed
    looked_at, // is parked, and read by another thread for a moment; may be claimed after that
    claimed,   // an operation completed; `winner` says which arm
    cancelled, // a cancel came first
    ended,
};

enum class claim_result : std::uint8_t { lost, won, won_early };

/// Whoever waits: a task, or a plain thread in a blocking call.
class waiter : public work {
public:
    explicit waiter(executor* home) noexcept : home_(reinterpret_cast<std::uintptr_t>(home)) {}

    /// The loop that it runs on next. While it is parked, or runs, its own; it may change before it runs.
    [[nodiscard]] executor* home() const noexcept {
        return reinterpret_cast<executor*>(home_.load(std::memory_order_relaxed) & ~ties);
    }
    /// Whether it may run elsewhere next.
    [[nodiscard]] bool movable() const noexcept {
        return (home_.load(std::memory_order_relaxed) & ties) == 0;
    }
    [[nodiscard]] bool move_to(executor& to) noexcept final {
        if (!movable()) return false;
        home_.store(reinterpret_cast<std::uintptr_t>(&to), std::memory_order_relaxed);
        return true;
    }
    // On its own thread. Bound: what it waits for belongs to its loop, as a timer does. Pinned: it stays.
    void bind() noexcept { tie(bound); }
    void unbind() noexcept { untie(bound); }
    void pin() noexcept { tie(pinned); }
    void unpin() noexcept { untie(pinned); }
    /// A task, and no plain thread in a blocking call.
    [[nodiscard]] virtual bool is_task() const noexcept { return false; }
    [[nodiscard]] bool is_pinned() const noexcept {
        return (home_.load(std::memory_order_relaxed) & pinned) != 0;
    }
    [[nodiscard]] park_state state() const noexcept {
        return state_of(word_.load(std::memory_order_acquire));
    }
    [[nodiscard]] std::uint32_t winner() const noexcept {
        return static_cast<std::uint32_t>(word_.load(std::memory_order_acquire) >> 8) & max_arm;
    }

    // On the waiter's own thread:

    void begin_arming() noexcept { store_first(park_state::arming); }
    /// After `begin_arming`: a cancel was seen. It loses to a claim that came before.
    void cancel_arming() noexcept { (void)swap_state(park_state::arming, park_state::cancelled); }
    /// After `begin_arming`. False when somebody claimed it meanwhile.
    [[nodiscard]] bool publish() noexcept { return swap_state(park_state::arming, park_state::parked); }
    /// Arms and publishes at once, under the lock of the one thing that is waited for.
    void park() noexcept { store_first(park_state::parked); }
    /// The same, and the claim of one that is parked, in a section of the owner's.
    [[gnu::always_inline]] void park_alone() noexcept {
        word_.store(next_epoch() | raw(park_state::parked), std::memory_order_relaxed);
    }
    [[nodiscard]] bool claim_alone(std::uint32_t arm) noexcept {
        const auto w = word_.load(std::memory_order_relaxed);
        if (state_of(w) != park_state::parked) return false;
        word_.store(claimed_by(w, arm), std::memory_order_relaxed);
        return true;
    }
    /// Takes back a park that nobody has claimed.
    [[nodiscard]] bool unpark() noexcept { return swap_state(park_state::parked, park_state::running); }
    /// A kernel operation that was to be withdrawn had completed: the cancel came too late.
    [[nodiscard]] bool claim_cancelled(std::uint32_t arm) noexcept {
        const auto w = word_.load(std::memory_order_relaxed);
        if (state_of(w) != park_state::cancelled) return false;
        word_.store(claimed_by(w, arm), std::memory_order_release);
        return true;
    }
    void set_running() noexcept { set(park_state::running); }
    /// The same, for one that is about to wait for its children: an epoch of its own, so that dumps tell that
    /// from what it did before.
    void set_joining() noexcept {
        word_.store(next_epoch() | raw(park_state::running), std::memory_order_release);
    }
    void set_claimed() noexcept { set(park_state::claimed); }
    void set_cancelled() noexcept { set(park_state::cancelled); }
    void set_ended() noexcept { set(park_state::ended); }

    // On any thread:

    /// Claims the current park for its arm number `arm`.
    [[nodiscard]] claim_result claim(std::uint32_t arm) noexcept {
        auto w = word_.load(std::memory_order_relaxed);
        for (;;) {
            const auto s = state_of(w);
            if (s != park_state::parked && s != park_state::arming) {
                if (s != park_state::looked_at) return claim_result::lost;
                w = word_after_look();
                continue;
            }
            if (exchange(w, claimed_by(w, arm)))
                return s == park_state::parked ? claim_result::won : claim_result::won_early;
        }
    }
    /// Claims it for arm `arm` and, if it has to be made ready, adds it to `ready`. True when it was claimed.
    [[nodiscard]] bool claim(std::uint32_t arm, work_list& ready) noexcept {
        const auto c = claim(arm);
        if (c == claim_result::won) ready.push(*this);
        return c != claim_result::lost;
    }

    /// Begins to look at what it is parked on, unless it is not. Then `end_look`, soon.
    [[nodiscard]] bool begin_look() noexcept;
    void end_look() noexcept;
    /// Tells one park of it from the next.
    [[nodiscard]] std::uint32_t epoch() const noexcept {
        return static_cast<std::uint32_t>(word_.load(std::memory_order_acquire) >> 32);
    }

protected:
    friend struct layout;
    ~waiter() = default;
    /// The word, once nobody looks at this any more.
    [[nodiscard]] std::uint64_t word_after_look() const noexcept;

    static constexpr std::uint64_t epoch_bits = ~std::uint64_t(0xffffffff);
    static constexpr std::uint32_t max_arm = 0xffffff;

    static park_state state_of(std::uint64_t w) noexcept { return static_cast<park_state>(w & 0xff); }
    static std::uint64_t raw(park_state s) noexcept { return static_cast<std::uint64_t>(s); }
    static std::uint64_t claimed_by(std::uint64_t w, std::uint32_t arm) noexcept {
        return (w & epoch_bits) | (std::uint64_t(arm) << 8) | raw(park_state::claimed);
    }

    std::uint64_t load_word() const noexcept { return word_.load(std::memory_order_seq_cst); }
    bool exchange(std::uint64_t& expected, std::uint64_t next) noexcept {
        if (const owner_section section; section) [[likely]]
            return exchange_alone(expected, next);
        return word_.compare_exchange_weak(expected, next, std::memory_order_seq_cst,
                                           std::memory_order_relaxed);
    }

private:
    // In a section.
    bool exchange_alone(std::uint64_t& expected, std::uint64_t next) noexcept {
        const auto w = word_.load(std::memory_order_relaxed);
        if (w != expected) [[unlikely]] { // another thread was here before the section
            expected = w;
            return false;
        }
        word_.store(next, std::memory_order_relaxed);
        return true;
    }
    static constexpr std::uintptr_t bound = 1;
    static constexpr std::uintptr_t pinned = 2;
    static constexpr std::uintptr_t ties = bound | pinned;
    static_assert(alignof(executor) > ties);
    void tie(std::uintptr_t t) noexcept {
        home_.store(home_.load(std::memory_order_relaxed) | t, std::memory_order_relaxed);
    }
    void untie(std::uintptr_t t) noexcept {
        home_.store(home_.load(std::memory_order_relaxed) & ~t, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t next_epoch() const noexcept {
        return (word_.load(std::memory_order_relaxed) & epoch_bits) + (std::uint64_t(1) << 32);
    }
    void store_first(park_state s) noexcept {
        const auto epoch = next_epoch();
        // Sequentially consistent against a canceller on another thread, who marks the token and then reads
        // this word, while we store this word and then read the token's mark: one of us sees the other.
        // (Two stores: g++ takes an order that is not a constant for the strongest.)
        if (const owner_section section; section) [[likely]]
            word_.store(epoch | raw(s), std::memory_order_relaxed);
        else word_.store(epoch | raw(s), std::memory_order_seq_cst);
    }
    void set(park_state s) noexcept {
        const auto w = word_.load(std::memory_order_relaxed);
        word_.store((w & ~std::uint64_t(0xff)) | raw(s), std::memory_order_release);
    }
    bool swap_state(park_state from, park_state to) noexcept {
        auto w = word_.load(std::memory_order_relaxed);
        if (const owner_section section; section) [[likely]] {
            w = word_.load(std::memory_order_relaxed);
            if (state_of(w) != from) return false;
            word_.store((w & ~std::uint64_t(0xff)) | raw(to), std::memory_order_relaxed);
            return true;
        }
        if (state_of(w) != from) {
            if (state_of(w) != park_state::looked_at) return false;
            w = word_after_look();
            if (state_of(w) != from) return false;
        }
        const auto next = (w & ~std::uint64_t(0xff)) | raw(to);
        // Where it fails, the word was claimed, or is being looked at.
        return word_.compare_exchange_strong(w, next, std::memory_order_seq_cst, std::memory_order_relaxed) ||
               (state_of(w) == park_state::looked_at && swap_state(from, to));
    }

    std::atomic<std::uint64_t> word_{0}; // epoch:32 arm:24 state:8
    // The address of the loop, and its ties. Relaxed: it is written by whoever has the waiter (its own
    // thread, or the one that claimed it or took it from a queue), and handed on with it, by the claim and
    // the queue.
    std::atomic<std::uintptr_t> home_;
};

/// Makes a waiter that was claimed ready, if it is the owner's, and its loop lets others at its queue.
[[nodiscard]] inline bool post_in_section(waiter& p) noexcept {
    if (const owner_section section; section) [[likely]]
        if (work_list* const direct = p.home()->direct()) [[likely]]
            return direct->push(p), true;
    return false;
}

/// Makes parkers that were claimed ready. The list holds parkers only. In no section: loops may take locks.
inline void post_all(work_list& ready) noexcept {
    while (work* w = ready.pop()) {
        auto& p = static_cast<waiter&>(*w);
        if (post_in_section(p)) [[likely]]
            continue;
        if (trace_sink* const t = tracing()) [[unlikely]]
            t->woke(p);
        if (executor* here = executor::current()) here->wake(p);
        else p.home()->post(p);
    }
}

class tree_node;

class wake_sources;

/// What a task is parked on. It lies in the frame that awaits it.
class operation {
public:
    /// When its task parked on it, in ms of its loop's clock.
    std::uint32_t since; // set before the park is published
    /// A cancel came first: take the operation back, on the task's own thread. False while a kernel has to
    /// answer: then the task is posted when it has, and this is called again.
    [[nodiscard]] virtual bool withdraw() noexcept = 0;
    /// Arm `winner` was claimed: take the others back. Called for operations with kernel arms only; false as
    /// in `withdraw`.
    [[nodiscard]] virtual bool retire(std::uint32_t) noexcept { return true; }
    /// After a cancel: what the kernel has of it is taken back now, and waited for. On the task's own loop,
    /// for one whose buffers are about to go.
    virtual void take_back_now() noexcept {}
    /// True when this operation answers a cancel by committing instead of letting its task unwind.
    [[nodiscard]] virtual bool commits_on_cancel(const tree_node&) noexcept { return false; }
    /// Whether arm `winner`, which was claimed, is such an answer: it waited for the token that cancels the
    /// task.
    [[nodiscard]] virtual bool winner_was_cancel_answer(std::uint32_t, const tree_node&) noexcept {
        return false;
    }
    /// What it waits for, in a few words, for dumps. While its task is parked, and may be looked at by
    /// another thread: so it reads what does not change meanwhile, and where it wants a lock, only tries.
    virtual void describe(std::string& out) const = 0;
    /// Who could complete it, for the search for deadlocks; likewise.
    virtual void wakers(wake_sources& out) const;

protected:
    operation() noexcept {}
    ~operation() = default;
};

/// An operation that can also be one of several: an arm of select.
class arm : public operation {
public:
    arm() noexcept {}
    std::uint32_t index; // both are set before it is linked
    waiter* who;

    /// The lock that guards what this arm waits for, if it takes part in the common lock order. An arm that
    /// takes something when it commits (a value, a place, a lock) has one, so that it is not found ready
    /// while it is being linked.
    [[nodiscard]] virtual lock* shared_lock() const noexcept { return nullptr; }
    /// Commits now if that is possible, with `shared_lock` held if there is one.
    [[nodiscard]] virtual bool try_commit(work_list& ready) noexcept = 0;
    /// Begins to wait, with `shared_lock` held if there is one. True when it turned out to be ready.
    [[nodiscard]] virtual bool link() noexcept = 0;
    /// Stops waiting, if it still does; takes its lock itself. Not called for an arm that was claimed and
    /// that its claimer has unlinked, and which may have nothing left to unlink from.
    virtual void unlink() noexcept = 0;
    [[nodiscard]] virtual bool unlinked_by_claim() const noexcept { return false; }
    [[nodiscard]] bool withdraw() noexcept override {
        unlink();
        return true;
    }

protected:
    ~arm() = default;
};

} // namespace levada::detail
