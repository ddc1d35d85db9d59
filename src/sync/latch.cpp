#include <levada/sync/latch.hpp>

#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada {

using detail::lock_guard;

latch::~latch() {
    lock_guard guard(gate_.guarded_by());
    if (gate_.is_waited_for())
        detail::fatal_unless_exiting("a latch was destroyed while somebody waits for it; made", where_);
}

bool latch::down(std::size_t k, detail::work_list& ready) noexcept {
    if (k > count_)
        detail::fatal("a latch's count fell below 0: more arrived than it was made for; made", where_);
    count_ -= k;
    if (count_ == 0) gate_.open(ready);
    return count_ == 0;
}

void latch::count_down(std::size_t k) noexcept {
    detail::schedule_point();
    detail::work_list ready;
    {
        lock_guard guard(gate_.guarded_by());
        down(k, ready);
        // The waiters may destroy the latch: it is not touched after this.
    }
    detail::post_all(ready);
}

bool latch::try_wait() const noexcept {
    detail::schedule_point();
    lock_guard guard(gate_.guarded_by());
    return gate_.is_open();
}

void latch::wait_blocking() noexcept {
    detail::gate_op op(gate_);
    detail::block_on(op);
}

// Arrives and begins to wait under one lock: in between the last one could arrive, and the latch be gone.
bool detail::arrive_op::arrive(task_block& task, frame_handle leaf) noexcept {
    if (task.is_cancelled()) [[unlikely]]
        return !task.answer_or_unwind(leaf, wait_);
    work_list ready;
    lock& l = latch_->gate_.guarded_by();
    l.acquire();
    if (latch_->down(count_, ready)) {
        l.release();
        post_all(ready);
        return task.completed_at_once(leaf);
    }
    wait_.who = &task;
    wait_.index = 0;
    (void)wait_.link();
    task.parks(leaf, wait_);
    task.park();
    // A cancel between the look above and the park claims the park; one before it is seen here.
    executor& home = *task.home();
    const bool late = task.is_cancelled() && task.unpark();
    if (late) task.set_cancelled();
    l.release();
    if (late) home.post(task);
    return true;
}

} // namespace levada
