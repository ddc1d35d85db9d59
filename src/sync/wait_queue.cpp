#include <levada/sync/wait_queue.hpp>

#include <utility>

namespace levada::detail {

queued_arm* wait_queue::claim_first(work_list& ready) noexcept {
    while (queued_arm* a = arms.pop_front()) {
        a->linked_ = false;
        if (a->who->claim(a->index, ready)) return a;
    }
    return nullptr;
}

void wait_queue::remove(queued_arm& a) noexcept {
    arms.erase(a);
    a.linked_ = false;
}

bool queued_arm::link() noexcept {
    queue_->arms.push_back(*this);
    linked_ = true;
    return false;
}

void queued_arm::unlink() noexcept {
    lock_guard guard(queue_->guarded_by);
    if (linked_) queue_->remove(*this);
}

} // namespace levada::detail
