#pragma once

// What mutex, semaphore, event and latch have in common: arms that stand in a queue, under one lock.
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

#include <string>

#include <levada/base/awaitable.hpp>
#include <levada/base/intrusive_list.hpp>
#include <levada/base/lock.hpp>
#include <levada/core/promise.hpp>

namespace levada::detail {

class queued_arm;

/// The lock guards the list, and the object that the list belongs to.
class wait_queue {
public:
    /// Pops arms until one of them was claimed; null when there is none. With the lock held.
    [[nodiscard]] queued_arm* claim_first(work_list& ready) noexcept;
    /// Takes an arm out that stands in the queue. With the lock held.
    void remove(queued_arm& a) noexcept;

    lock guarded_by;
    intrusive_list<queued_arm> arms;
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

    wait_queue* queue_;
    bool linked_ = false; // stands in the queue; guarded by its lock
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

/// What is open or shut, and waited for to be open: the part that event and latch share.
class gate {
public:
    gate(bool open, const char* waiting) noexcept : open_(open), waiting_(waiting) {}
    gate(const gate&) = delete;
    gate& operator=(const gate&) = delete;

    [[nodiscard]] lock& guarded_by() const noexcept { return queue_.guarded_by; }
    // With the lock held:
    [[nodiscard]] bool is_open() const noexcept { return open_; }
    [[nodiscard]] bool is_waited_for() const noexcept { return !queue_.arms.empty(); }
    void shut() noexcept { open_ = false; }
    /// Claims all who wait.
    void open(work_list& ready) noexcept {
        open_ = true;
        while (queue_.claim_first(ready)) {
        }
    }

private:
    friend class gate_op;
    mutable wait_queue queue_;
    bool open_;
    const char* waiting_; // what to call an arm that waits
};

/// `co_await event.wait()` and `co_await latch.wait()`, and the same as arms.
class [[nodiscard]] gate_op final : public queue_awaitable<gate_op> {
public:
    using outcome = void;
    explicit gate_op(gate& g) noexcept : queue_awaitable(g.queue_), gate_(&g) {}
    gate_op(gate_op&& other) noexcept : gate_op(*other.gate_) {}

    bool try_commit(work_list&) noexcept override { return gate_->open_; }
    void describe(std::string& out) const override { out += gate_->waiting_; }
    void take() noexcept {}

private:
    gate* gate_;
};

} // namespace levada::detail
