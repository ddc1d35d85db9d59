#include <levada/sync/channel_state.hpp>

#include <string>

namespace levada::detail {

void channel_arm::unlink() noexcept {
    if (!std::exchange(linked_, false)) return;
    channel_base& ch = *on_; // alive: we are linked
    ch.lock_.acquire();
    if (ghost_) --ch.ghosts_;
    else (role == channel_role::receiver ? ch.receivers_ : ch.senders_).erase(*this);
    const bool last = ch.orphan_ && !ch.anything_linked();
    ch.lock_.release();
    if (last) ch.destroy();
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
            if (a->who->claim(a->index, ready)) return a;
            make_ghost(*a);
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
            while (channel_arm* a = claim_first(*queue, ready)) {
                a->status = channel_status::closed;
                a->hold(); // for the reason
            }
    }
    post_all(ready);
    return true;
}

void channel_base::last_handle_gone() noexcept {
    lock_.acquire();
    orphan_ = anything_linked();
    const bool gone = !orphan_;
    lock_.release();
    if (gone) destroy();
}

} // namespace levada::detail
