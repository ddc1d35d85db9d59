#include <levada/sync/mutex.hpp>

#include <levada/base/fatal.hpp>

namespace levada {

using detail::lock_guard;

mutex::~mutex() {
    lock_guard guard(queue_.guarded_by);
    if (!queue_.arms.empty())
        detail::fatal("a mutex was destroyed while somebody waits for it; made", where_);
    if (held_) detail::fatal("a mutex was destroyed while it is held; made", where_);
}

bool mutex::take_now() noexcept {
    if (held_) return false;
    return held_ = true;
}

bool mutex::in_use() const noexcept {
    lock_guard guard(queue_.guarded_by);
    return held_;
}

mutex_guard mutex::try_lock() noexcept {
    lock_guard guard(queue_.guarded_by);
    return take_now() ? mutex_guard(*this) : mutex_guard();
}

mutex_guard mutex::lock_blocking() noexcept {
    detail::mutex_op op(*this);
    return detail::block_on(op);
}

void mutex::unlock() noexcept {
    detail::work_list ready;
    {
        lock_guard guard(queue_.guarded_by);
        if (detail::queued_arm* next = queue_.claim_first(ready))
            static_cast<detail::mutex_op*>(next)->holds_ = true;
        else held_ = false;
        // Who gets it may destroy the mutex: it is not touched after this.
    }
    detail::post_all(ready);
}

} // namespace levada
