#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <levada/detail/util/owner_section.hpp>

namespace levada::detail {

/// In a loop that spins: lets the other hyperthread go on.
inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/// How many threads sleep on locks, or are about to, by the address of the lock. Apart from the locks, since
/// who has let go of one may not touch it any more: the next holder may destroy it.
class lock_sleepers {
public:
    [[nodiscard]] static std::atomic<std::uint32_t>& on(const void* lock) noexcept {
        return table[(reinterpret_cast<std::uintptr_t>(lock) / 64) % size];
    }

private:
    static constexpr std::size_t size = 64;
    static std::atomic<std::uint32_t> table[size];
};

/// A lock of four bytes that spins briefly and then sleeps in the kernel. Its release is a plain store.
///
/// Invariants:
/// 1. The word goes from 0 to 1 by an exchange that gave 0: who made it holds the lock, and alone stores 0.
/// 2. Who is about to sleep counts itself among the sleepers, has all threads of the process pass a barrier
///    (membarrier), and only then tries again; the kernel puts it to sleep only while the word is 1. The
///    releaser stores the word, then loads the count. If its load came before that barrier, its store was
///    seen by the try; if after it, it sees the sleeper and wakes one. Where the kernel has no such barrier,
///    sleepers look again every millisecond.
/// 3. A sleeper counts until it has the lock; then its own release wakes the next.
///
/// Used alone, for what any thread may do without coming to what one of them owns: posting to a loop.
class thread_lock {
public:
    void acquire() noexcept {
        if (!try_acquire()) acquire_slow();
    }
    /// False where another thread holds it.
    [[nodiscard]] bool try_acquire() noexcept { return word_.exchange(1, std::memory_order_acquire) == 0; }
    void release() noexcept {
        word_.store(0, std::memory_order_release);
        std::atomic_signal_fence(std::memory_order_seq_cst); // the compiler keeps the two in this order
        if (lock_sleepers::on(this).load(std::memory_order_relaxed) != 0) [[unlikely]]
            wake();
    }

protected:
    void acquire_slow() noexcept;
    void wake() noexcept;

    std::atomic<std::uint32_t> word_{0};
};

/// The same, but while one thread owns all, its acquire and release are plain stores: it is in a section for
/// as long as it holds the lock. So the word is more than 1 only where no other thread can see it.
class lock : private thread_lock {
public:
    void acquire() noexcept {
        if (!take_in_section()) thread_lock::acquire();
    }
    /// False where another thread holds it.
    [[nodiscard]] bool try_acquire() noexcept {
        // Where this thread holds it in a section, nobody else can.
        return word_.load(std::memory_order_relaxed) == 0 &&
               (take_in_section() || thread_lock::try_acquire());
    }
    void release() noexcept {
        if (const auto held = word_.load(std::memory_order_relaxed); held > held_by_exchange) [[likely]] {
            const auto in = static_cast<owner_section::entered>(held - held_by_exchange);
            // Else a thread was started meanwhile, and may sleep on it.
            if (in != owner_section::entered::alone || __libc_single_threaded) [[likely]] {
                word_.store(0, std::memory_order_relaxed);
                return owner_section::leave(in);
            }
        }
        thread_lock::release();
    }

private:
    static constexpr std::uint32_t held_by_exchange = 1;
    [[nodiscard]] bool take_in_section() noexcept {
        const auto in = owner_section::enter();
        if (in == owner_section::entered::none) return false;
        // It was taken before there were threads, by one that holds it still.
        if (word_.load(std::memory_order_relaxed) != 0) [[unlikely]] {
            owner_section::leave(in);
            if (in == owner_section::entered::outer) owner_section::end_for_good();
            return false;
        }
        word_.store(held_by_exchange + static_cast<std::uint32_t>(in), std::memory_order_relaxed);
        return true;
    }
};

/// Holds a lock for a scope.
template <class Lock>
class [[nodiscard]] lock_guard {
public:
    explicit lock_guard(Lock& l) noexcept : lock_(l) { lock_.acquire(); }
    ~lock_guard() { lock_.release(); }
    lock_guard(const lock_guard&) = delete;
    lock_guard& operator=(const lock_guard&) = delete;

private:
    Lock& lock_;
};

/// Holds a lock for a scope, if it was free.
class [[nodiscard]] try_lock_guard {
public:
    explicit try_lock_guard(lock& l) noexcept : lock_(l.try_acquire() ? &l : nullptr) {}
    ~try_lock_guard() {
        if (lock_) lock_->release();
    }
    try_lock_guard(const try_lock_guard&) = delete;
    try_lock_guard& operator=(const try_lock_guard&) = delete;
    explicit operator bool() const noexcept { return lock_ != nullptr; }

private:
    lock* lock_;
};

/// An exchange that is atomic only where there is no owner.
template <class T>
[[gnu::always_inline]] inline T exchange_flag(std::atomic<T>& flag, T value) noexcept {
    const owner_section section;
    if (!section) return flag.exchange(value, std::memory_order_acq_rel);
    const T old = flag.load(std::memory_order_relaxed);
    flag.store(value, std::memory_order_relaxed);
    return old;
}

/// A reference count that is atomic only where there is no owner.
class ref_count {
public:
    explicit ref_count(std::uint32_t n) noexcept : n_(n) {}
    void add() noexcept {
        // Relaxed: whoever adds already holds a reference, so the object cannot go meanwhile.
        if (const owner_section section; section) [[likely]]
            n_.store(n_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        else n_.fetch_add(1, std::memory_order_relaxed);
    }
    [[nodiscard]] bool try_add() noexcept {
        auto n = n_.load(std::memory_order_relaxed);
        while (n != 0)
            if (n_.compare_exchange_weak(n, n + 1, std::memory_order_relaxed)) return true;
        return false;
    }
    /// True for the one who dropped the last: everything done under other references happened before.
    [[nodiscard]] bool drop() noexcept {
        if (const owner_section section; section) [[likely]] {
            const auto n = n_.load(std::memory_order_relaxed) - 1;
            n_.store(n, std::memory_order_relaxed);
            return n == 0;
        }
        return n_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }
    [[nodiscard]] std::uint32_t count() const noexcept { return n_.load(std::memory_order_relaxed); }
    [[nodiscard]] bool unique() const noexcept { return n_.load(std::memory_order_acquire) == 1; }

private:
    std::atomic<std::uint32_t> n_;
};

} // namespace levada::detail
