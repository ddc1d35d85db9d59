#include <levada/sync/mutex.hpp>

#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/thread_context.hpp>
#include <levada/detail/engine/wake_sources.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada {

using detail::lock_guard;

mutex::~mutex() {
    lock_guard guard(queue_.guarded_by);
    if (queue_.is_waited_for())
        detail::fatal_unless_exiting("a mutex was destroyed while somebody waits for it; made", where_);
    if (held_) detail::fatal_unless_exiting("a mutex was destroyed while it is held; made", where_);
}

bool mutex::take_now() noexcept {
    if (held_) return false;
    if constexpr (detail::diagnosis) holder_ = detail::this_thread().task;
    return held_ = true;
}

bool mutex::in_use() const noexcept {
    lock_guard guard(queue_.guarded_by);
    return held_ || queue_.is_waited_for();
}

mutex_guard mutex::try_lock() noexcept {
    detail::schedule_point();
    lock_guard guard(queue_.guarded_by);
    return take_now() ? mutex_guard(*this) : mutex_guard();
}

mutex_guard mutex::lock_blocking() noexcept {
    detail::mutex_op op(*this);
    return detail::block_on(op);
}

void mutex::hand_over(detail::mutex_op& next) noexcept {
    next.holds_ = true;
    holder_ = next.who->is_task() ? next.who : nullptr;
}

void mutex::unlock() noexcept {
    detail::schedule_point();
    detail::work_list ready;
    {
        lock_guard guard(queue_.guarded_by);
        if (detail::queued_arm* next = queue_.claim_first(ready))
            hand_over(static_cast<detail::mutex_op&>(*next));
        else held_ = false;
        // Who gets it may destroy the mutex: it is not touched after this.
    }
    detail::post_all(ready);
}

void detail::mutex_op::describe(std::string& out) const {
    out += "mutex::lock of one made at ";
    out += mutex_->where_.file_name();
    out += ':';
    out += std::to_string(mutex_->where_.line());
}

void detail::mutex_op::wakers(wake_sources& out) const {
    const try_lock_guard guard(mutex_->queue_.guarded_by);
    if (guard && mutex_->holder_) out.add(*mutex_->holder_);
    else out.add_others();
}

} // namespace levada
