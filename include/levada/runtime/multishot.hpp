#pragma once

// Operations of the kernel's that complete again and again, for no task in particular: what they bring stands
// in a queue, in which tasks wait.
//
// Invariants:
// 1. A multishot is armed on one loop at a time, the one of the task that found it idle; its completions come
//    on that loop's thread. `lock_` guards `loop_` (null while it is idle) and `abandoned_`; all else belongs
//    to the thread of that loop while it is armed.
// 2. Who waits joins the queue first, and arms then, if it is idle. Who makes it idle looks at the queue
// after
//    that. So nobody waits for one that is idle.
// 3. It goes when its owner has let go of it, the kernel's last completion is in, and nothing of it is
// posted:
//    each holds a reference.
// 4. One who posts it to its loop holds `lock_`, which the loop needs to make it idle, as it does before it
//    ends: so the loop is there.
// Lock order: the queue's lock, then `lock_`, then a loop's inbox.

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include <levada/runtime/kernel_op.hpp>
#include <levada/sync/wait_queue.hpp>

namespace levada::detail {

class multishot : public ring_entry, private work {
public:
    multishot(const multishot&) = delete;
    multishot& operator=(const multishot&) = delete;

    /// Arms it on a loop, unless it is armed. On that loop's thread.
    void want(executor& on) noexcept;
    /// Its owner lets go of it: the kernel is asked to give it up, and what it brings yet is dropped.
    /// *Threads*: any.
    void abandon() noexcept;
    /// Whether the kernel has it. *Threads*: any.
    [[nodiscard]] bool is_armed() noexcept {
        lock_guard guard(lock_);
        return loop_ != nullptr;
    }

    struct let_go {
        void operator()(multishot* m) const noexcept { m->abandon(); }
    };

protected:
    multishot() noexcept;
    virtual ~multishot() = default;

    enum class next : std::uint8_t {
        more,  ///< go on, unless too much is queued
        again, ///< it brought nothing: go on at once
        over,  ///< go on only if somebody waits
    };
    /// The kernel's answer, with the flags of the completion: puts what it brought into the queue.
    virtual next arrived(int result, unsigned flags) noexcept = 0;
    /// The loop on which it was armed ends, and somebody waits.
    virtual void cut_off() noexcept = 0;
    [[nodiscard]] virtual bool is_full() noexcept = 0;
    [[nodiscard]] virtual bool is_waited_for() noexcept = 0;
    /// The ring in which it is armed.
    [[nodiscard]] ring& on() const noexcept { return *ring_; }

private:
    friend class ring;
    void completed(int result, unsigned flags, bool of_cancel) noexcept final;
    void run() noexcept final; // abandoned elsewhere
    void arm() noexcept;       // with the lock held
    void stop() noexcept;
    void end_loop() noexcept;
    [[nodiscard]] bool forget() noexcept;
    void retired() noexcept;
    void unref() noexcept {
        if (refs_.drop()) delete this;
    }

    struct armed_hook : list_hook {
        multishot* self;
    } armed_; // in its ring's list
    ref_count refs_{1};
    lock lock_;
    executor* loop_ = nullptr;
    bool abandoned_ = false;
    bool loop_ends_ = false;
    bool done_ = false; // the operation's last completion is in, if not that of its cancel
    next next_ = next::more;
    ring* ring_ = nullptr;
};

/// Counts as in flight on the loop of a task that waits.
class awaited {
public:
    awaited() noexcept = default;
    awaited(awaited&&) noexcept {} // before it begins
    ~awaited() {
        if (ring_) end();
    }
    void begin(executor& home) noexcept;

private:
    void end() noexcept;
    ring* ring_ = nullptr;
};

template <class Item>
class arrival_arm;

/// A multishot with its queue of `Item`s, which are made empty, and moved without throwing.
template <class Item>
class arrivals : public multishot {
public:
    [[nodiscard]] bool try_take(Item& to) noexcept {
        lock_guard guard(waiting_.guarded_by);
        return take_now(to);
    }
    /// Takes the oldest. With the queue's lock held.
    [[nodiscard]] bool take_now(Item& to) noexcept {
        if (first_ == items_.size()) return false;
        to = std::move(items_[first_]);
        if (++first_ == items_.size()) {
            first_ = 0;
            items_.clear();
            if (items_.capacity() > few) items_ = std::vector<Item>(); // a burst: idle ones hold little
        }
        return true;
    }
    /// What was taken, and nobody saw.
    void put_back(Item&& item) {
        lock_guard guard(waiting_.guarded_by);
        if (first_ != 0) items_[--first_] = std::move(item);
        else items_.insert(items_.begin(), std::move(item));
    }

protected:
    explicit arrivals(std::size_t most) : most_(most) {}
    void bring(Item item) noexcept {
        work_list ready;
        {
            lock_guard guard(waiting_.guarded_by);
            if (queued_arm* a = waiting_.claim_first(ready))
                static_cast<arrival_arm<Item>*>(a)->put(std::move(item));
            else items_.push_back(std::move(item));
        }
        post_all(ready);
    }

private:
    friend class arrival_arm<Item>;
    static constexpr std::size_t few = 8;
    [[nodiscard]] bool is_full() noexcept final {
        lock_guard guard(waiting_.guarded_by);
        return items_.size() - first_ >= most_;
    }
    [[nodiscard]] bool is_waited_for() noexcept final {
        lock_guard guard(waiting_.guarded_by);
        return !waiting_.arms.empty();
    }
    wait_queue waiting_; // its lock guards the items
    std::vector<Item> items_;
    std::size_t first_ = 0;
    const std::size_t most_;
};

/// Waits for the next of them.
template <class Item>
class arrival_arm : public queued_arm {
public:
    explicit arrival_arm(arrivals<Item>& from) noexcept : queued_arm(from.waiting_), from_(&from) {}
    ~arrival_arm() {
        // Committed, but nobody asked: the task unwound through an outer select, or the outcome was dropped.
        if (holds_) from_->put_back(std::move(item_));
    }
    [[nodiscard]] bool try_commit(work_list&) noexcept final { return holds_ = from_->take_now(item_); }
    [[nodiscard]] bool link() noexcept final {
        executor& home = *who->home();
        awaited_.begin(home);
        (void)queued_arm::link();
        from_->want(home);
        return false;
    }
    /// The queue has claimed this.
    void put(Item&& item) noexcept {
        item_ = std::move(item);
        holds_ = true;
    }

protected:
    [[nodiscard]] arrivals<Item>& from() const noexcept { return *from_; }
    [[nodiscard]] Item taken() noexcept {
        holds_ = false;
        return std::move(item_);
    }

private:
    arrivals<Item>* from_;
    Item item_{};
    bool holds_ = false; // written under the lock, before this is posted
    awaited awaited_;
};

} // namespace levada::detail
