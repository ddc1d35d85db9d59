#pragma once

// What mutex, semaphore, event, latch, groups and multishots have in common: arms that stand in a queue,
// under one lock.
//
// Invariants:
// 1. An arm stands in the queue from `link` until it is popped there to be claimed, or unlinked by its task.
// 2. The queue's lock is the arm's shared lock: held from the last look at the object until the park is
//    published. So whoever claims under it finds arms that are parked or were claimed by others, never one
//    that is still arming; and an arm claimed here runs only after the lock was let go and it was posted.
// 3. Hence an arm that was claimed here, or committed at once, touches the object no more unless its `take`
//    does; and whoever claims touches the object last when letting go of the lock. An arm that lost in its
//    select does touch it, to unlink.
// 4. An arm is claimed first, and given what it waited for after that and under the same lock.
// 5. An arm that was popped and turned out to be claimed by others, a cancel or another arm, is a ghost until
//    its task has unlinked it, which takes the lock. An object that has arms or ghosts must not go: its
//    destructor asks `is_waited_for()`, and terminates.

#include <cstdint>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/promise.hpp>
#include <levada/detail/util/intrusive_list.hpp>
#include <levada/detail/util/lock.hpp>

namespace levada::detail {

class queued_arm;

/// The lock guards the list, and the object that the list belongs to.
class wait_queue {
public:
    /// Pops arms until one of them was claimed; null when there is none. With the lock held.
    [[nodiscard]] queued_arm* claim_first(work_list& ready) noexcept;
    /// Claims an arm that stands in the queue, which it leaves; says whether it was claimed here. With the
    /// lock held.
    [[nodiscard]] bool claim(queued_arm& a, work_list& ready) noexcept;
    /// Whether an arm stands in the queue, or has yet to unlink. With the lock held.
    [[nodiscard]] bool is_waited_for() const noexcept { return !arms.empty() || ghosts_ != 0; }

    lock guarded_by;
    intrusive_list<queued_arm> arms;

private:
    friend class queued_arm;
    std::uint32_t ghosts_ = 0;
};

/// An operation that waits in such a queue.
class queued_arm : public arm, public list_hook {
public:
    explicit queued_arm(wait_queue& q) noexcept : queue_(&q) {}
    queued_arm(const queued_arm&) = delete;
    queued_arm& operator=(const queued_arm&) = delete;

    [[nodiscard]] lock* shared_lock() const noexcept final { return &queue_->guarded_by; }
    [[nodiscard]] bool link() noexcept override;
    void unlink() noexcept override;
    [[nodiscard]] bool unlinked_by_claim() const noexcept final { return true; }

protected:
    friend class wait_queue;
    ~queued_arm() = default;
    /// Lets go of the queue; says whether this stood in it. With the lock held.
    bool leave() noexcept;

    wait_queue* queue_;

private:
    enum class place : std::uint8_t { outside, queued, ghost };
    place place_ = place::outside; // guarded by the queue's lock
};

/// Awaits such an arm on its own: it is resumed only when it has committed, and so stands in no queue.
template <class D>
class queue_awaitable : public awaitable_arm<D, queued_arm> {
public:
    explicit queue_awaitable(wait_queue& q) noexcept : awaitable_arm<D, queued_arm>(q) {}
    auto await_resume() noexcept { return static_cast<D&>(*this).take(); }

protected:
    ~queue_awaitable() = default;
};

} // namespace levada::detail
