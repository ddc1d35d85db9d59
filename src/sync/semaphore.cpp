#include <levada/sync/semaphore.hpp>

#include <limits>

#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada {

using detail::acquire_op;
using detail::lock_guard;

semaphore::~semaphore() {
    lock_guard guard(queue_.guarded_by);
    if (queue_.is_waited_for())
        detail::fatal_unless_exiting("a semaphore was destroyed while somebody waits for it; made", where_);
    if (held_ != 0)
        detail::fatal_unless_exiting("a semaphore was destroyed while permits hold units of it; made",
                                     where_);
}

bool semaphore::take_now(std::size_t k) noexcept {
    if (k == 0) return true;
    if (k > available_ || !queue_.arms.empty()) return false;
    available_ -= k;
    held_ += k;
    return true;
}

acquire_op* semaphore::first_that_fits() const noexcept {
    // The arms of one select stand side by side, and the small one does not wait for the large one.
    detail::queued_arm* const first = queue_.arms.front();
    for (auto* a = first; a && a->who == first->who; a = queue_.arms.next(*a))
        if (auto* op = static_cast<acquire_op*>(a); op->wanted_ <= available_) return op;
    return nullptr;
}

void semaphore::hand_out(detail::work_list& ready) noexcept {
    while (acquire_op* op = first_that_fits()) {
        if (!queue_.claim(*op, ready)) continue;
        available_ -= op->wanted_;
        held_ += op->wanted_;
        op->holds_ = true;
    }
}

void semaphore::settle(std::size_t from_permit, std::size_t added) noexcept {
    detail::work_list ready;
    {
        lock_guard guard(queue_.guarded_by);
        held_ -= from_permit;
        if (added > std::numeric_limits<std::size_t>::max() - available_ - held_)
            detail::fatal("a semaphore was given more units than can be counted; made", where_);
        available_ += added;
        hand_out(ready);
        // Who gets units may destroy the semaphore: it is not touched after this.
    }
    detail::post_all(ready);
}

semaphore_permit semaphore::try_acquire(std::size_t k) noexcept {
    detail::schedule_point();
    lock_guard guard(queue_.guarded_by);
    return take_now(k) ? semaphore_permit(*this, k) : semaphore_permit();
}

semaphore_permit semaphore::acquire_blocking(std::size_t k) noexcept {
    acquire_op op(*this, k);
    return detail::block_on(op);
}

void semaphore::release(std::size_t k) noexcept {
    detail::schedule_point();
    settle(0, k);
}

std::size_t semaphore::available() const noexcept {
    detail::schedule_point();
    lock_guard guard(queue_.guarded_by);
    return available_;
}

void semaphore_permit::release() noexcept {
    detail::schedule_point();
    semaphore* const from = std::exchange(from_, nullptr);
    if (const std::size_t n = std::exchange(count_, 0)) from->settle(n, n);
}

void semaphore_permit::forget() noexcept {
    semaphore* const from = std::exchange(from_, nullptr);
    if (const std::size_t n = std::exchange(count_, 0)) from->settle(n, 0);
}

void acquire_op::unlink() noexcept {
    work_list ready;
    {
        lock_guard guard(queue_->guarded_by);
        if (!leave()) return;
        from_->hand_out(ready); // it may have held up those behind it
    }
    post_all(ready);
}

} // namespace levada
