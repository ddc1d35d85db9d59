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
#include <new>
#include <type_traits>
#include <utility>

#include <levada/detail/channel/channel_base.hpp>
#include <levada/detail/channel/value_queue.hpp>
#include <levada/detail/engine/await_site.hpp>
#include <levada/detail/engine/waiter.hpp>
#include <levada/detail/util/lock.hpp>

// Inlined where it counts.
#define LEVADA_INTERNAL_HOT [[gnu::always_inline]]
// The await itself only by g++: clang may then keep what is local to it in the coroutine's frame, which
// others may resume by then.
#if defined(__clang__)
#define LEVADA_INTERNAL_AWAIT
#else
#define LEVADA_INTERNAL_AWAIT [[gnu::always_inline, gnu::flatten]]
#endif

namespace levada::detail {

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

    // In a section of the owner's: the common cases, without the lock, and without a call of anything
    // but T's moves. So these need no saved registers, which cost as much as the operation.

    [[nodiscard]] LEVADA_INTERNAL_HOT fast_try recv_alone(recv_arm<T>& r) noexcept {
        if (buffer_.size() != 0) {
            if (!senders_.empty() || !buffer_.is_ring()) return fast_try::take_slow_path;
            r.put(buffer_.pop_from_ring());
            return fast_try::committed;
        }
        if (channel_arm* s = senders_.front()) {
            waiter& peer = *s->who;
            work_list* const ready = peer.home()->direct();
            if (s->role != channel_role::sender || !ready || !peer.claim_alone(s->index)) [[unlikely]]
                return fast_try::take_slow_path;
            (void)senders_.pop_front();
            r.put(std::move(*static_cast<send_arm<T>*>(s)->value_));
            s->status = channel_status::done;
            ready->push(peer);
            return fast_try::committed;
        }
        return closed_.load(std::memory_order_relaxed) ? fast_try::take_slow_path : fast_try::must_wait;
    }
    [[nodiscard]] LEVADA_INTERNAL_HOT fast_try send_alone(send_arm<T>& s) noexcept {
        if (channel_arm* r = receivers_.front()) {
            waiter& peer = *r->who;
            work_list* const ready = peer.home()->direct();
            if (!ready || !peer.claim_alone(r->index)) [[unlikely]]
                return fast_try::take_slow_path;
            (void)receivers_.pop_front();
            static_cast<recv_arm<T>*>(r)->put(std::move(*s.value_));
            s.status = channel_status::done;
            ready->push(peer);
            return fast_try::committed;
        }
        if (closed_.load(std::memory_order_relaxed)) return fast_try::take_slow_path;
        if (!has_room()) return fast_try::must_wait;
        if (!buffer_.is_ring()) return fast_try::take_slow_path;
        buffer_.push_to_ring(std::move(*s.value_));
        s.status = channel_status::done;
        return fast_try::committed;
    }

    /// Whether it is worth trying; false is certain.
    [[nodiscard]] bool may_recv() const noexcept {
        return buffer_.size() != 0 || !senders_.empty() || closed_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] bool may_send() const noexcept {
        return has_room() || !receivers_.empty() || closed_.load(std::memory_order_relaxed);
    }

    // With the lock held. Each says whether the operation has committed; `closed` counts as that.

    [[nodiscard]] LEVADA_INTERNAL_HOT bool recv_now(recv_arm<T>& r, work_list& ready) noexcept {
        if (take_now(r, ready)) return true;
        if (!closed_.load(std::memory_order_relaxed)) return false;
        r.status = channel_status::closed;
        r.hold(); // for the reason
        return true;
    }
    /// The same, but for the outcome `closed`.
    [[nodiscard]] LEVADA_INTERNAL_HOT bool take_now(recv_arm<T>& r, work_list& ready) noexcept {
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
    [[nodiscard]] LEVADA_INTERNAL_HOT bool send_now(send_arm<T>& s, work_list& ready) noexcept {
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

    // Called without the lock; each takes it.

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
    LEVADA_INTERNAL_HOT void buffer(send_arm<T>& s) noexcept {
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

} // namespace levada::detail
