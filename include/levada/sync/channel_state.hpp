#pragma once

// What all handles of a channel share.
//
// Invariants, under the channel's lock:
// 1. If a receiver waits, nothing is buffered, and no sender waits. (A select that waits on both sides of one
//    channel is the exception: it never pairs with itself.)
// 2. If a sender or a reservation waits, then `buffered + reserved` is the capacity; or the channel is a
//    rendezvous.
// 3. Once closed, nobody waits. Values that are still buffered can be received.
// 4. Who waits is claimed first; its value moves after the claim; it is posted after the lock is let go.
// 5. An arm that is linked keeps its channel alive without counting: the last handle leaves the channel to
//    the last arm if any is linked. An arm is linked while it stands in a queue, and as a ghost after it was
//    found there to be claimed by others, until its task unlinks it. One that was claimed here is not linked
//    any more; those that need their channel later (for the reason, for a place) are given a reference.
// 6. Without a limit there is memory for every place that is reserved. A send that finds none ends with that.
// The lock guards everything but the count of handles and `closed_`/`reason_`, which are written once, reason
// first. Under it only T's moves run, besides our own code.

#include <atomic>
#include <cstddef>
#include <system_error>
#include <type_traits>
#include <utility>

#include <levada/base/await_site.hpp>
#include <levada/base/errc.hpp>
#include <levada/base/intrusive_list.hpp>
#include <levada/base/lock.hpp>
#include <levada/base/park.hpp>
#include <levada/base/result.hpp>
#include <levada/sync/value_queue.hpp>

// Inlined where it counts: clang asks for it here, g++ does it by `flatten` in channel_ops.hpp.
#if defined(__clang__)
#define LEVADA_HOT [[gnu::always_inline]]
#else
#define LEVADA_HOT
#endif

namespace levada::detail {

class channel_base;

enum class channel_role : std::uint8_t { receiver, sender, reservation };
enum class channel_status : std::uint8_t { open, done, closed, no_memory };
/// What a look at a channel found while the process has one thread: committed, it takes more than a look (and
/// nothing was changed), or it has to wait.
enum class alone : std::uint8_t { done, hard, wait };

/// An operation on a channel that may wait in one of its queues.
class channel_arm : public arm, public list_hook {
public:
    channel_arm(channel_base* on, channel_role r) noexcept : on_(on), role(r) {}

    [[nodiscard]] lock* shared_lock() const noexcept final;
    [[nodiscard]] bool link() noexcept final;
    void unlink() noexcept final;
    [[nodiscard]] bool unlinked_by_claim() const noexcept final { return true; }
    void describe(std::string& out) const final;
    void wakers(wake_sources& out) const final;

protected:
    friend class channel_base;
    friend struct channel_layout;
    channel_arm(const channel_arm&) = delete;
    ~channel_arm();

    channel_base* on_;

public:
    /// Keeps the channel until this arm goes.
    void hold() noexcept;
    [[nodiscard]] bool is_nil() const noexcept { return on_ == nullptr; }
    const channel_role role;
    channel_status status = channel_status::open;

private:
    bool linked_ = false; // was linked, and not unlinked since; the task's own
    bool ghost_ = false;  // is linked, but stands in no queue; guarded by the channel's lock
    bool holds_ = false;  // has a reference on the channel
};

/// Where a counted end of a channel is, and whose it is, as far as one can tell.
struct end_hook : list_hook {
    const parker*
        holder; // the task that has it as an argument of its first frame; null where it lies elsewhere
};

/// The part that does not depend on the type of the values.
class channel_base {
public:
    channel_base(std::size_t capacity, await_site made_at) noexcept
        : capacity_(capacity), made_at_(made_at) {}
    channel_base(const channel_base&) = delete;
    channel_base& operator=(const channel_base&) = delete;

    void ref() noexcept { refs_.add(); }
    void unref() noexcept {
        if (refs_.drop()) last_handle_gone();
    }

    /// One handle, and nothing linked.
    [[nodiscard]] bool unique() noexcept {
        lock_guard guard(lock_);
        return refs_.unique() && !anything_linked();
    }
    bool close(std::error_code why) noexcept;
    [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }
    [[nodiscard]] std::error_code reason() const noexcept {
        return closed() ? std::error_code(reason_value_, *reason_category_) : std::error_code();
    }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] lock& mutex() noexcept { return lock_; }

    // Counted ends. Where they are is kept for dumps only.
    void count_ends() { ends_ = new channel_ends; }
    void add_end(bool sender) noexcept { (sender ? senders_count_ : receivers_count_).add(); }
    void drop_end(bool sender) noexcept {
        if ((sender ? senders_count_ : receivers_count_).drop()) close(make_error_code(errc::closed));
    }
    void note_end(end_hook& e, bool sender) noexcept;
    void forget_end(end_hook& e, bool sender) noexcept;

protected:
    struct channel_ends {
        intrusive_bag<end_hook> senders;
        intrusive_bag<end_hook> receivers;
        std::uint32_t count = 0;
    };
    virtual ~channel_base() { delete ends_; }
    [[nodiscard]] virtual std::size_t buffered() const noexcept = 0; // with the lock held
    virtual void destroy() noexcept = 0;

    /// Claims the longest waiting arm of a queue that still waits; it is out of the queue then.
    [[nodiscard]] channel_arm* claim_first(intrusive_list<channel_arm>& queue, work_list& ready) noexcept {
        while (channel_arm* a = queue.pop_front()) {
            if (a->who->claim(a->index, ready)) return a;
            make_ghost(*a);
        }
        return nullptr;
    }
    /// The same for the first sender of a value, behind reservations that wait for room.
    [[nodiscard]] channel_arm* claim_sender(work_list& ready) noexcept {
        if (channel_arm* a = senders_.front(); a && a->role == channel_role::sender) [[likely]] {
            (void)senders_.pop_front();
            if (a->who->claim(a->index, ready)) [[likely]]
                return a;
            make_ghost(*a);
        }
        return claim_later_sender(ready);
    }
    [[nodiscard]] channel_arm* claim_later_sender(work_list& ready) noexcept;
    void make_ghost(channel_arm& a) noexcept {
        a.ghost_ = true;
        ++ghosts_;
    }
    [[nodiscard]] bool anything_linked() const noexcept {
        return ghosts_ != 0 || !receivers_.empty() || !senders_.empty();
    }
    void last_handle_gone() noexcept;

    friend class channel_arm;
    friend struct channel_layout;
    lock lock_;
    ref_count refs_{1};
    std::atomic<bool> closed_{false};
    bool orphan_ = false; // without handles; the last linked arm destroys it
    std::uint32_t ghosts_ = 0;
    ref_count senders_count_{1};
    ref_count receivers_count_{1};
    const std::size_t capacity_;
    std::size_t reserved_ = 0;
    intrusive_list<channel_arm> receivers_;
    intrusive_list<channel_arm> senders_;
    channel_ends* ends_ = nullptr; // where they are counted; set before others know the channel
    const std::error_category* reason_category_ = nullptr;
    int reason_value_ = 0;
    const await_site made_at_;
};

template <class T>
class channel_state;

/// A waiting receiver, with room for its value.
template <class T>
class recv_arm : public channel_arm {
public:
    explicit recv_arm(channel_base* on) noexcept : channel_arm(on, channel_role::receiver) {}
    recv_arm(recv_arm&& other) noexcept : channel_arm(other.on_, channel_role::receiver) {}
    ~recv_arm() {
        if constexpr (!std::is_trivially_destructible_v<T>)
            if (status == channel_status::done) value_.~T();
    }
    void put(T&& value) noexcept {
        ::new (static_cast<void*>(&value_)) T(std::move(value));
        status = channel_status::done;
    }

    bool try_commit(work_list& ready) noexcept override;
    [[nodiscard]] T& value() noexcept { return value_; }

private:
    union {
        T value_;
    };
};

/// A waiting sender. Its value stays where it is until the send commits.
template <class T>
class send_arm : public channel_arm {
public:
    send_arm(channel_base* on, T* value) noexcept : channel_arm(on, channel_role::sender), value_(value) {}
    bool try_commit(work_list& ready) noexcept override;
    T* value_;
};

template <class T>
class channel_state : public channel_base {
    static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                  "a channel's values are moved between tasks, which must not throw: box them, as in "
                  "channel<std::unique_ptr<T>>");

public:
    channel_state(std::size_t capacity, await_site made_at)
        : channel_base(capacity, made_at), buffer_(capacity) {}

    // While the process has one thread: the common cases, without the lock, and without a call of anything
    // but T's moves. So these need no saved registers, which cost as much as the operation.

    [[nodiscard]] LEVADA_HOT alone recv_alone(recv_arm<T>& r) noexcept {
        if (buffer_.size() != 0) {
            if (!senders_.empty() || !buffer_.is_ring()) return alone::hard;
            r.put(buffer_.pop_from_ring());
            return alone::done;
        }
        if (channel_arm* s = senders_.front()) {
            parker& waiter = *s->who;
            work_list* const ready = waiter.home()->direct();
            if (s->role != channel_role::sender || !ready || !waiter.claim_alone(s->index)) [[unlikely]]
                return alone::hard;
            (void)senders_.pop_front();
            r.put(std::move(*static_cast<send_arm<T>*>(s)->value_));
            s->status = channel_status::done;
            ready->push(waiter);
            return alone::done;
        }
        return closed_.load(std::memory_order_relaxed) ? alone::hard : alone::wait;
    }
    [[nodiscard]] LEVADA_HOT alone send_alone(send_arm<T>& s) noexcept {
        if (channel_arm* r = receivers_.front()) {
            parker& waiter = *r->who;
            work_list* const ready = waiter.home()->direct();
            if (!ready || !waiter.claim_alone(r->index)) [[unlikely]]
                return alone::hard;
            (void)receivers_.pop_front();
            static_cast<recv_arm<T>*>(r)->put(std::move(*s.value_));
            s.status = channel_status::done;
            ready->push(waiter);
            return alone::done;
        }
        if (closed_.load(std::memory_order_relaxed)) return alone::hard;
        if (!has_room()) return alone::wait;
        if (!buffer_.is_ring()) return alone::hard;
        buffer_.push_to_ring(std::move(*s.value_));
        s.status = channel_status::done;
        return alone::done;
    }

    /// Whether it is worth trying; false is certain.
    [[nodiscard]] bool may_recv() const noexcept {
        return buffer_.size() != 0 || !senders_.empty() || closed_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] bool may_send() const noexcept {
        return has_room() || !receivers_.empty() || closed_.load(std::memory_order_relaxed);
    }

    // With the lock held. Each says whether the operation has committed; `closed` counts as that.

    [[nodiscard]] LEVADA_HOT bool recv_now(recv_arm<T>& r, work_list& ready) noexcept {
        if (take_now(r, ready)) return true;
        if (!closed_.load(std::memory_order_relaxed)) return false;
        r.status = channel_status::closed;
        r.hold(); // for the reason
        return true;
    }
    /// The same, but for the outcome `closed`.
    [[nodiscard]] LEVADA_HOT bool take_now(recv_arm<T>& r, work_list& ready) noexcept {
        if (buffer_.size() != 0) {
            r.put(buffer_.pop());
            if (!senders_.empty()) fill(ready);
            return true;
        }
        if (!senders_.empty()) {
            if (channel_arm* s = claim_sender(ready)) {
                r.put(std::move(*static_cast<send_arm<T>*>(s)->value_));
                s->status = channel_status::done;
                return true;
            }
        }
        return false;
    }
    [[nodiscard]] LEVADA_HOT bool send_now(send_arm<T>& s, work_list& ready) noexcept {
        if (closed_.load(std::memory_order_relaxed)) {
            s.status = channel_status::closed;
            return true;
        }
        if (!receivers_.empty()) {
            if (channel_arm* r = claim_first(receivers_, ready)) {
                static_cast<recv_arm<T>*>(r)->put(std::move(*s.value_));
                s.status = channel_status::done;
                return true;
            }
        }
        if (!has_room()) return false;
        buffer(s);
        return true;
    }
    [[nodiscard]] bool reserve_now(channel_arm& a, work_list&) noexcept {
        if (closed_.load(std::memory_order_relaxed)) {
            a.status = channel_status::closed;
            return true;
        }
        if (!has_room()) return false;
        if (!buffer_.make_room(reserved_ + 1)) {
            a.status = channel_status::no_memory;
            return true;
        }
        ++reserved_;
        a.status = channel_status::done;
        a.hold();
        return true;
    }

    // Without the lock.

    /// A value for a place that was reserved, which is free afterwards. False when closed.
    bool send_reserved(T& value) noexcept {
        work_list ready;
        {
            lock_guard guard(lock_);
            --reserved_;
            if (closed_.load(std::memory_order_relaxed)) return false;
            if (channel_arm* r = claim_first(receivers_, ready)) {
                static_cast<recv_arm<T>*>(r)->put(std::move(value));
                fill(ready);
            } else {
                buffer_.push(std::move(value));
            }
        }
        post_all(ready);
        return true;
    }
    void free_reserved() noexcept {
        work_list ready;
        {
            lock_guard guard(lock_);
            --reserved_;
            fill(ready);
        }
        post_all(ready);
    }
    [[nodiscard]] std::size_t size() noexcept {
        lock_guard guard(lock_);
        return buffer_.size();
    }

private:
    [[nodiscard]] bool has_room() const noexcept { return buffer_.size() + reserved_ < capacity_; }
    /// With room. Memory for those that are reserved is left.
    LEVADA_HOT void buffer(send_arm<T>& s) noexcept {
        if (!buffer_.make_room(reserved_ + 1)) [[unlikely]] {
            s.status = channel_status::no_memory;
            return;
        }
        buffer_.push(std::move(*s.value_));
        s.status = channel_status::done;
    }
    /// Gives free room to those who wait for it, in their order.
    void fill(work_list& ready) noexcept {
        while (has_room()) {
            channel_arm* a = claim_first(senders_, ready);
            if (!a) return;
            if (a->role == channel_role::sender) {
                buffer_.push(std::move(*static_cast<send_arm<T>*>(a)->value_));
            } else {
                ++reserved_;
                a->hold();
            }
            a->status = channel_status::done;
        }
    }
    void destroy() noexcept override { delete this; }
    std::size_t buffered() const noexcept override { return buffer_.size(); }

    friend struct channel_layout;
    value_queue<T> buffer_;
};

template <class T>
bool recv_arm<T>::try_commit(work_list& ready) noexcept {
    return this->on_ && static_cast<channel_state<T>*>(this->on_)->recv_now(*this, ready);
}
template <class T>
bool send_arm<T>::try_commit(work_list& ready) noexcept {
    return this->on_ && static_cast<channel_state<T>*>(this->on_)->send_now(*this, ready);
}

inline channel_arm::~channel_arm() {
    if (holds_) on_->unref();
}

inline void channel_arm::hold() noexcept {
    if (!std::exchange(holds_, true)) on_->ref();
}

inline bool channel_arm::link() noexcept {
    if (!on_) return false; // a nil channel: never
    linked_ = true;
    ghost_ = false;
    (role == channel_role::receiver ? on_->receivers_ : on_->senders_).push_back(*this);
    return false;
}

inline lock* channel_arm::shared_lock() const noexcept { return on_ ? &on_->mutex() : nullptr; }

} // namespace levada::detail
