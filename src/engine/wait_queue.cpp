#include <levada/detail/engine/wait_queue.hpp>

namespace levada::detail {

bool wait_queue::claim(queued_arm& a, work_list& ready) noexcept {
    arms.erase(a);
    const bool ours = a.who->claim(a.index, ready);
    a.place_ = ours ? queued_arm::place::outside : queued_arm::place::ghost;
    if (!ours) ++ghosts_;
    return ours;
}

queued_arm* wait_queue::claim_first(work_list& ready) noexcept {
    while (queued_arm* a = arms.front())
        if (claim(*a, ready)) return a;
    return nullptr;
}

bool queued_arm::link() noexcept {
    queue_->arms.push_back(*this);
    place_ = place::queued;
    return false;
}

bool queued_arm::leave() noexcept {
    const bool queued = place_ == place::queued;
    if (queued) queue_->arms.erase(*this);
    else if (place_ == place::ghost) --queue_->ghosts_;
    place_ = place::outside;
    return queued;
}

void queued_arm::unlink() noexcept {
    lock_guard guard(queue_->guarded_by);
    leave();
}

} // namespace levada::detail
