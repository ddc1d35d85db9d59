#include <levada/sync/wait_group.hpp>

#include <string>

#include <levada/detail/engine/schedule_point.hpp>

namespace levada {

using detail::lock_guard;

wait_group::~wait_group() {
    lock_guard guard(waiting_.guarded_by);
    if (waiting_.is_waited_for())
        detail::fatal_unless_exiting("a wait_group was destroyed while a task waits for it; made", where_);
    if (running_ != 0)
        detail::fatal_unless_exiting({"a wait_group was destroyed ", detail::unwound_by_exception(),
                                      "while its tasks run: wait for them, also when a go() throws; made"},
                                     where_);
}

void wait_group::change(std::ptrdiff_t by, detail::work_list& ready) noexcept {
    count_ += by;
    if (count_ < 0) detail::fatal("a wait_group's count fell below 0: more done() than add(); made", where_);
    if (count_ != 0) return;
    // The waiters may destroy the group once they run, which is after this lock is let go and they are
    // posted.
    while (detail::queued_arm* a = waiting_.claim_first(ready))
        static_cast<detail::wait_group_op*>(a)->failed_ = std::move(failed_);
}

void wait_group::add(std::ptrdiff_t n) noexcept {
    detail::schedule_point();
    detail::work_list ready;
    {
        lock_guard guard(waiting_.guarded_by);
        change(n, ready);
    }
    detail::post_all(ready);
}

void wait_group::started() noexcept {
    lock_guard guard(waiting_.guarded_by);
    ++count_;
    ++running_;
}

std::ptrdiff_t wait_group::count() const noexcept {
    detail::schedule_point();
    lock_guard guard(waiting_.guarded_by);
    return count_;
}

void wait_group::child_end::ended(detail::task_block& task, detail::after_unlock& todo) const noexcept {
    lock_guard guard(group->waiting_.guarded_by);
    if (task.has(detail::task_flag::failed) && !group->failed_) group->failed_ = detail::failed_task(task);
    --group->running_;
    group->change(-1, todo.ready);
}

bool detail::wait_group_op::try_commit(work_list&) noexcept {
    if (group_->count_ != 0) return false;
    failed_ = std::move(group_->failed_);
    return true;
}
void detail::wait_group_op::describe(std::string& out) const { out += "wait_group::wait"; }

} // namespace levada
