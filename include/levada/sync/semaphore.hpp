#pragma once

#include <cstddef>
#include <source_location>
#include <utility>

#include <levada/detail/engine/blocking.hpp>
#include <levada/detail/engine/wait_queue.hpp>

namespace levada {

class semaphore;

namespace detail {

class [[nodiscard]] acquire_op;

} // namespace detail

/// Units of a semaphore, which go back when it is destroyed. Move-only; may move to another task or thread.
class [[nodiscard]] semaphore_permit {
public:
    /// Holds nothing.
    semaphore_permit() noexcept = default;
    semaphore_permit(semaphore_permit&& other) noexcept
        : from_(std::exchange(other.from_, nullptr)), count_(std::exchange(other.count_, 0)) {}
    semaphore_permit& operator=(semaphore_permit&& other) noexcept {
        if (this != &other) {
            release();
            from_ = std::exchange(other.from_, nullptr);
            count_ = std::exchange(other.count_, 0);
        }
        return *this;
    }
    ~semaphore_permit() { release(); }

    /// Gives the units back early; without effect where nothing is held. *Threads*: any.
    void release() noexcept;
    /// Keeps the units from going back: the semaphore has so many fewer, until it is given some by
    /// `semaphore::release`. *Threads*: any.
    void forget() noexcept;
    /// The units it holds.
    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    /// Whether it came from an acquire that succeeded (of 0 units, too) and was neither released nor moved.
    explicit operator bool() const noexcept { return from_ != nullptr; }

private:
    friend class semaphore;
    friend class detail::acquire_op;
    semaphore_permit(semaphore& from, std::size_t count) noexcept : from_(&from), count_(count) {}
    semaphore* from_ = nullptr;
    std::size_t count_ = 0;
};

/// A number of units, of which each acquire takes some and waits until they are there.
///
/// First come, first served, without overtaking: an acquire of few units waits behind an earlier one of many,
/// though its own be there. Neither copied nor moved; destroying one that is waited for, or of which permits
/// hold units, terminates. Nothing is allocated.
class semaphore {
public:
    explicit semaphore(std::size_t units,
                       const std::source_location& where = std::source_location::current()) noexcept
        : available_(units), where_(where) {}
    ~semaphore();
    semaphore(const semaphore&) = delete;
    semaphore& operator=(const semaphore&) = delete;

    /// `auto permit = co_await s.acquire(k);`
    ///
    /// *Suspends* while fewer than `k` units are there, or others wait that came before; so one of more units
    /// than there will ever be waits until it is cancelled, and holds up all who come after it. `acquire(0)`
    /// is ready at once. *Outcomes*: a `semaphore_permit`. *Threads*: any. *Cancel*: withdrawn, and those who
    /// waited behind it are served; units that were given before the cancel are returned. An arm of select;
    /// one that loses takes nothing. (Arms of one select do not wait for each other.)
    [[nodiscard]] detail::acquire_op acquire(std::size_t k = 1) noexcept;
    /// A permit, which is empty if the units are not there or others wait for some. *Threads*: any.
    [[nodiscard]] semaphore_permit try_acquire(std::size_t k = 1) noexcept;
    /// Acquires on a plain thread, which sleeps meanwhile. Terminates on a loop's own thread.
    [[nodiscard]] semaphore_permit acquire_blocking(std::size_t k = 1) noexcept;
    /// Adds units, over those that it was made with. *Threads*: any.
    void release(std::size_t k = 1) noexcept;
    /// The units that are there. *Threads*: any.
    [[nodiscard]] std::size_t available() const noexcept;

private:
    friend class semaphore_permit;
    friend class detail::acquire_op;
    // With the lock held:
    [[nodiscard]] bool take_now(std::size_t k) noexcept;
    void hand_out(detail::work_list& ready) noexcept;
    [[nodiscard]] detail::acquire_op* first_that_fits() const noexcept;

    void settle(std::size_t from_permit, std::size_t added) noexcept;

    // While somebody waits, the first who does wants more than is there; or its task has been claimed by
    // another arm or a cancel, and hands out when it unlinks.
    mutable detail::wait_queue queue_;
    std::size_t available_; // both are guarded by the queue's lock
    std::size_t held_ = 0;  // units in permits
    std::source_location where_;
};

} // namespace levada

// What it is made of; needs the class above.
#include <levada/detail/sync/acquire_op.hpp>
