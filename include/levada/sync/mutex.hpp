#pragma once

#include <source_location>
#include <utility>

#include <levada/detail/engine/blocking.hpp>
#include <levada/detail/engine/wait_queue.hpp>

namespace levada {

class mutex;
class once;

namespace detail {

class [[nodiscard]] mutex_op;

} // namespace detail

/// Holds a mutex, and lets go of it when it is destroyed. Move-only; may move to another task or thread.
class [[nodiscard]] mutex_guard {
public:
    /// Holds nothing.
    mutex_guard() noexcept = default;
    mutex_guard(mutex_guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    mutex_guard& operator=(mutex_guard&& other) noexcept {
        if (this != &other) {
            unlock();
            mutex_ = std::exchange(other.mutex_, nullptr);
        }
        return *this;
    }
    ~mutex_guard() { unlock(); }

    /// Lets go early; without effect where nothing is held. *Threads*: any.
    void unlock() noexcept;
    [[nodiscard]] bool owns_lock() const noexcept { return mutex_ != nullptr; }
    explicit operator bool() const noexcept { return owns_lock(); }

private:
    friend class mutex;
    friend class detail::mutex_op;
    explicit mutex_guard(mutex& m) noexcept : mutex_(&m) {}
    mutex* mutex_ = nullptr;
};

/// Go's sync.Mutex: one holder at a time. It may be held across a `co_await`, as a std::mutex may not.
///
/// First come, first served: whoever unlocks hands it to the one who has waited longest. It belongs to the
/// guard and not to a task or thread. Locking it twice in one task waits for ever. Neither copied nor moved;
/// destroying one that is held or waited for terminates. Nothing is allocated.
class mutex {
public:
    explicit mutex(const std::source_location& where = std::source_location::current()) noexcept
        : where_(where) {}
    ~mutex();
    mutex(const mutex&) = delete;
    mutex& operator=(const mutex&) = delete;

    /// `auto guard = co_await m.lock();`
    ///
    /// *Suspends* while another holds it. *Outcomes*: a `mutex_guard`. *Threads*: any. *Cancel*: withdrawn; a
    /// lock that was handed over before the cancel is returned. An arm of select; one that loses holds
    /// nothing.
    [[nodiscard]] detail::mutex_op lock() noexcept;
    /// A guard, which is empty if another holds it. *Threads*: any.
    [[nodiscard]] mutex_guard try_lock() noexcept;
    /// Locks on a plain thread, which sleeps meanwhile. Terminates on a loop's own thread.
    [[nodiscard]] mutex_guard lock_blocking() noexcept;

private:
    friend class mutex_guard;
    friend class once;
    friend class detail::mutex_op;
    [[nodiscard]] bool take_now() noexcept; // with the lock held
    [[nodiscard]] bool in_use() const noexcept;
    void unlock() noexcept;
    void hand_over(detail::mutex_op& next) noexcept; // with the lock held

    mutable detail::wait_queue queue_; // while somebody waits, somebody holds
    bool held_ = false;                // guarded by the queue's lock, as is holder_
    const detail::waiter* holder_ =
        nullptr; // the task that locked it, for dumps: the guard may have moved on
    std::source_location where_;
};

inline void mutex_guard::unlock() noexcept {
    if (mutex* const m = std::exchange(mutex_, nullptr)) m->unlock();
}

} // namespace levada

// What it is made of; needs the class above.
#include <levada/detail/sync/mutex_op.hpp>
