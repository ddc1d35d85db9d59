#pragma once

#include <sys/single_threaded.h>

#include <atomic>
#include <cstdint>

namespace levada::detail {

/// True while the process has had one thread only. A thread that starts later sees all that was stored
/// before: its creation orders it. glibc clears the flag before the new thread runs.
[[nodiscard]] inline bool single_threaded() noexcept { return __libc_single_threaded != 0; }

/// In a loop that spins: lets the other hyperthread go on.
inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/// A lock of four bytes that spins briefly and then sleeps in the kernel.
///
/// Legal values of the word: 0 free, 1 held, 2 held and somebody may sleep on it.
/// While the process has one thread, lock and unlock are plain stores to the same word: a lock that is held
/// when the first thread starts is seen as held by that thread, and is let go with an atomic exchange.
class lock {
public:
    void acquire() noexcept {
        if (!try_acquire()) acquire_slow();
    }
    /// False where another thread holds it.
    [[nodiscard]] bool try_acquire() noexcept {
        if (single_threaded()) [[likely]] {
            word_.store(1, std::memory_order_relaxed);
            return true;
        }
        std::uint32_t free = 0;
        return word_.compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed);
    }
    void release() noexcept {
        if (single_threaded()) [[likely]] {
            word_.store(0, std::memory_order_relaxed);
            return;
        }
        if (word_.exchange(0, std::memory_order_release) == 2) wake();
    }

private:
    void acquire_slow() noexcept;
    void wake() noexcept;

    std::atomic<std::uint32_t> word_{0};
};

/// Holds a lock for a scope.
class [[nodiscard]] lock_guard {
public:
    explicit lock_guard(lock& l) noexcept : lock_(l) { lock_.acquire(); }
    ~lock_guard() { lock_.release(); }
    lock_guard(const lock_guard&) = delete;
    lock_guard& operator=(const lock_guard&) = delete;

private:
    lock& lock_;
};

/// An exchange that is atomic only where the process has more than one thread.
template <class T>
T exchange_flag(std::atomic<T>& flag, T value) noexcept {
    if (!single_threaded()) return flag.exchange(value, std::memory_order_acq_rel);
    const T old = flag.load(std::memory_order_relaxed);
    flag.store(value, std::memory_order_relaxed);
    return old;
}

/// A reference count that is atomic only where the process has more than one thread.
class ref_count {
public:
    explicit ref_count(std::uint32_t n) noexcept : n_(n) {}
    void add() noexcept {
        // Relaxed: whoever adds already holds a reference, so the object cannot go meanwhile.
        if (single_threaded()) [[likely]]
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
        if (single_threaded()) [[likely]] {
            auto n = n_.load(std::memory_order_relaxed) - 1;
            n_.store(n, std::memory_order_relaxed);
            return n == 0;
        }
        return n_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }
    [[nodiscard]] bool unique() const noexcept { return n_.load(std::memory_order_acquire) == 1; }

private:
    std::atomic<std::uint32_t> n_;
};

} // namespace levada::detail
