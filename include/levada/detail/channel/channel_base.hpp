#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

#include <levada/base/errc.hpp>
#include <levada/detail/engine/await_site.hpp>
#include <levada/detail/engine/waiter.hpp>
#include <levada/detail/util/intrusive_list.hpp>
#include <levada/detail/util/lock.hpp>

namespace levada::detail {

class channel_base;

enum class channel_role : std::uint8_t { receiver, sender, reservation };
enum class channel_status : std::uint8_t { open, done, closed, no_memory };
/// What a look at a channel found in a section of its owner's: committed, it takes more than a look (and
/// nothing was changed), or it has to wait.
enum class fast_try : std::uint8_t { committed, take_slow_path, must_wait };

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
    const waiter*
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
