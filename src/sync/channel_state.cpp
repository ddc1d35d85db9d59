#include <levada/sync/channel_state.hpp>

#include <string>

namespace levada::detail {

void channel_arm::unlink() noexcept {
    if (!holds_) return;
    lock_guard guard(on_->lock_);
    if (std::exchange(linked_, false))
        (role == channel_role::receiver ? on_->receivers_ : on_->senders_).erase(*this);
}

void channel_arm::describe(std::string& out) const {
    out += role == channel_role::receiver ? "recv" : role == channel_role::sender ? "send" : "reserve";
    if (!on_) {
        out += " on a nil channel";
        return;
    }
    out += " on a ";
    if (on_->capacity_ == 0) out += "rendezvous channel";
    else if (on_->capacity_ == unlimited) out += "unbounded channel";
    else out += "channel of " + std::to_string(on_->capacity_);
}

channel_arm* channel_base::claim_later_sender(work_list& ready) noexcept {
    for (channel_arm* a = senders_.front(); a;) {
        channel_arm* const following = senders_.next(*a);
        if (a->role == channel_role::sender) {
            senders_.erase(*a);
            a->linked_ = false;
            if (a->who->claim(a->index, ready)) return a;
        }
        a = following;
    }
    return nullptr;
}

bool channel_base::close(std::error_code why) noexcept {
    work_list ready;
    {
        lock_guard guard(lock_);
        if (closed_.load(std::memory_order_relaxed)) return false;
        reason_ = why;
        closed_.store(true, std::memory_order_release);
        for (auto* queue : {&receivers_, &senders_})
            while (channel_arm* a = claim_first(*queue, ready)) a->status = channel_status::closed;
    }
    post_all(ready);
    return true;
}

} // namespace levada::detail
