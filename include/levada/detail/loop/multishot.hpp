#pragma once

// Operations of the kernel's that complete again and again, for no task in particular: what they bring stands
// in a queue, in which tasks wait.
//
// Invariants:
// 1. A multishot is armed on one loop at a time, the one of the task that found it idle; its completions come
//    on that loop's thread. `lock_` guards `loop_` (null while it is idle), `abandoned_` and `posted_`; all
//    else belongs to the thread of that loop while it is armed.
// 2. Who waits joins the queue first, and arms then, if it is idle. Who makes it idle looks at the queue
//    after that, and arms it again, or, if its loop ends, posts it to the loop of one who waits. So nobody
//    waits for one that is idle and not on its way to be armed.
// 3. It goes when its owner has let go of it, the kernel's last completion is in, and it is not posted: each
//    holds a reference.
// 4. Who posts it holds a lock that its target needs before it can end: `lock_`, which a loop takes to make
//    it idle; or that of the queue, in which a task of the target stands.
// 5. The kernel looks up the descriptor's number when it is handed the entry: until then, the descriptor
//    stays open. Whoever lets go of it on the loop's thread has the entry handed over first; elsewhere, it is
//    closed with the multishot.
// Lock order: the queue's lock, then `lock_`, then a loop's inbox.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include <levada/base/frame_pool.hpp>
#include <levada/detail/engine/wait_queue.hpp>
#include <levada/detail/loop/kernel_op.hpp>
#include <levada/detail/util/pooled.hpp>

namespace levada::detail {

class multishot : public ring_entry, public pooled, private work {
public:
    multishot(const multishot&) = delete;
    multishot& operator=(const multishot&) = delete;

    /// Arms it on a loop, unless it is armed. On that loop's thread.
    void want(executor& on) noexcept;
    /// Its owner lets go of it: the kernel is asked to give it up, and what it brings yet is dropped. True if
    /// the descriptor is to be left to it, which closes it when the loop on which it is armed has given it
    /// up; false if it may be closed now. *Threads*: any.
    [[nodiscard]] bool abandon(int fd) noexcept;
    /// Whether the kernel has it. *Threads*: any.
    [[nodiscard]] bool is_armed() noexcept {
        lock_guard guard(lock_);
        return loop_ != nullptr;
    }

protected:
    multishot() noexcept;
    virtual ~multishot();

    enum class next : std::uint8_t {
        more,  ///< go on, unless too much is queued
        again, ///< it brought nothing: go on at once
        over,  ///< go on if somebody waits
    };
    /// The kernel's answer, with the flags of the completion: puts what it brought into the queue.
    virtual next arrived(int result, unsigned flags) noexcept = 0;
    /// Posts it to the loop of one who waits, if anybody does.
    virtual void post_to_waiter() noexcept = 0;
    [[nodiscard]] virtual bool is_full() noexcept = 0;
    [[nodiscard]] virtual bool is_waited_for() noexcept = 0;
    /// Whether a task waits for it, or has yet to let go of it.
    [[nodiscard]] virtual bool is_in_use() noexcept = 0;
    /// The ring in which it is armed.
    [[nodiscard]] ring& on() const noexcept { return *ring_; }
    /// Whether nothing is to be asked of the kernel any more. On the loop's thread.
    [[nodiscard]] bool is_abandoned() const noexcept {
        // Relaxed: it matters only where this thread itself has set it, and let the descriptor be closed.
        return abandoned_.load(std::memory_order_relaxed);
    }
    void post_to(executor& e) noexcept;
    /// The ring has no more of it. On the ring's thread, but in `forget()`.
    virtual void let_go() noexcept {}

    /// In the list of those whose end the kernel may have lost; see src/loop/lost_ends.hpp.
    struct unsure_hook : list_hook {
        multishot* self;
        int descriptor;
        bool watched = false;
    };

private:
    friend class ring;
    friend class lost_ends;
    void completed(int result, unsigned flags, bool of_cancel) noexcept final;
    void run() noexcept final;       // abandoned elsewhere, or waited for when its loop ended
    void arm() noexcept;             // with the lock held
    void post(executor& e) noexcept; // likewise
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
    std::atomic<bool> abandoned_{false};
    bool posted_ = false;
    int to_close_ = -1;
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
    ~awaited() { end(); }
    void begin(executor& home) noexcept;
    void end() noexcept;

private:
    ring* ring_ = nullptr;
};

template <class Item>
class arrival_arm;

/// A multishot with its queue of `Item`s, which are made empty, and moved without throwing. Where there is no
/// memory to keep one, it and all that come behind it are dropped, and `Item::lost()` stands in their place.
template <class Item>
class arrivals : public multishot {
public:
    [[nodiscard]] bool try_take(Item& to) noexcept {
        lock_guard guard(waiting_.guarded_by);
        return take_now(to);
    }
    /// Takes the oldest. With the queue's lock held.
    [[nodiscard]] bool take_now(Item& to) noexcept {
        if (first_ == items_.size()) {
            if (!std::exchange(lost_, false)) return false;
            to = Item::lost();
            return true;
        }
        to = std::move(items_[first_]);
        if (++first_ == items_.size()) {
            first_ = 0;
            items_.clear();
            if (items_.capacity() > few) items_ = std::vector<Item>(); // a burst: idle ones hold little
        }
        return true;
    }
    /// What was taken, and nobody saw.
    void put_back(Item&& item) noexcept { bring(std::move(item), if_nobody_waits::first); }

protected:
    explicit arrivals(std::size_t most) : most_(most) {}
    enum class if_nobody_waits : std::uint8_t { last, first, dropped };
    void bring(Item item, if_nobody_waits then = if_nobody_waits::last) noexcept {
        work_list ready;
        {
            lock_guard guard(waiting_.guarded_by);
            if (queued_arm* a = waiting_.claim_first(ready))
                static_cast<arrival_arm<Item>*>(a)->put(std::move(item));
            else if (then == if_nobody_waits::last) keep_last(std::move(item));
            else if (then == if_nobody_waits::first) keep_first(std::move(item));
        }
        post_all(ready);
    }
    [[nodiscard]] bool is_waited_for() noexcept final {
        lock_guard guard(waiting_.guarded_by);
        return !waiting_.arms.empty();
    }
    [[nodiscard]] bool is_in_use() noexcept final {
        lock_guard guard(waiting_.guarded_by);
        return waiting_.is_waited_for();
    }

private:
    friend class arrival_arm<Item>;
    static constexpr std::size_t few = 8;
    [[nodiscard]] bool is_full() noexcept final {
        lock_guard guard(waiting_.guarded_by);
        return lost_ || items_.size() - first_ >= most_;
    }
    // With the lock held:
    void keep_last(Item&& item) noexcept {
        if (lost_) return;
        try {
            items_.push_back(std::move(item));
        } catch (const std::bad_alloc&) {
            lost_ = true;
        }
    }
    void keep_first(Item&& item) noexcept {
        if (first_ != 0) {
            items_[--first_] = std::move(item);
            return;
        }
        try {
            items_.insert(items_.begin(), std::move(item));
        } catch (const std::bad_alloc&) {
            items_.clear();
            lost_ = true;
        }
    }
    void post_to_waiter() noexcept final {
        lock_guard guard(waiting_.guarded_by);
        if (const queued_arm* const first = waiting_.arms.front()) post_to(*first->who->home());
    }
    wait_queue waiting_; // its lock guards the items
    std::vector<Item> items_;
    std::size_t first_ = 0;
    bool lost_ = false; // what came behind the items
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
    void unlink() noexcept final {
        queued_arm::unlink();
        awaited_.end();
    }
    /// The queue has claimed this.
    void put(Item&& item) noexcept {
        item_ = std::move(item);
        holds_ = true;
    }

protected:
    [[nodiscard]] arrivals<Item>& from() const noexcept { return *from_; }
    [[nodiscard]] Item taken() noexcept {
        awaited_.end();
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
