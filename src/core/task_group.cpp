#include <levada/core/task_group.hpp>

#include <levada/base/fatal.hpp>
#include <levada/base/wake_sources.hpp>
#include <levada/core/inspect.hpp>

namespace levada {

using detail::lock_guard;

task_group::task_group(const std::source_location& where)
    : node_(detail::scope_node::open(detail::node_kind::group, detail::current_task("a task_group"))),
      cancels_(node_),
      where_(where) {}

task_group::task_group(detail::scope_node& body, const std::source_location& where)
    : node_(detail::scope_node::open(detail::node_kind::group, detail::current_task("with_group"))),
      cancels_(&body),
      where_(where) {}

task_group::~task_group() {
    if (node_->live() != 0) {
        std::string what = "a task_group was destroyed while its tasks run:\n";
        detail::task_writer writer;
        detail::see_tasks(*node_, [&](const detail::task_view& task) { writer.write(what, task); });
        detail::fatal(what + "wait for them, or use with_group; the group was made", where_);
    }
    node_->close();
}

void task_group::limit(std::size_t n) noexcept {
    detail::work_list ready;
    {
        lock_guard guard(lock_);
        limit_ = n;
        hand_out_places(ready);
    }
    detail::post_all(ready);
}

void task_group::take_place() noexcept {
    lock_guard guard(lock_);
    ++taken_;
}

void task_group::give_place_back() noexcept {
    detail::work_list ready;
    {
        lock_guard guard(lock_);
        --taken_;
        hand_out_places(ready);
    }
    detail::post_all(ready);
}

bool task_group::has_place() noexcept {
    if (limit_ != 0 && taken_ >= limit_) return false;
    ++taken_;
    return true;
}

void task_group::hand_out_places(detail::work_list& ready) noexcept {
    while (limit_ == 0 || taken_ < limit_) {
        detail::room_op* op = waiting_.pop_front();
        if (!op) return;
        op->linked_ = false;
        if (op->who->claim(op->index, ready)) ++taken_;
    }
}

void task_group::child_ended(detail::control& task, detail::after_unlock& todo) noexcept {
    if (task.has(detail::task_flag::failed)) {
        std::exception_ptr e = task.take_exception();
        std::function<void(std::exception_ptr)> tell;
        {
            lock_guard guard(lock_);
            tell = on_failure_;
        }
        if (tell) {
            tell(std::move(e));
        } else {
            {
                lock_guard guard(lock_);
                failures_.push_back(std::move(e));
            }
            cancels_->cancel(make_error_code(errc::cancelled));
        }
    }
    lock_guard guard(lock_);
    --taken_;
    hand_out_places(todo.ready);
}

void task_group::on_failure(std::function<void(std::exception_ptr)> f) {
    lock_guard guard(lock_);
    on_failure_ = std::move(f);
}

std::vector<std::exception_ptr> task_group::failures() const {
    lock_guard guard(lock_);
    return failures_;
}

void task_group::throw_first_failure() {
    std::exception_ptr first;
    {
        lock_guard guard(lock_);
        if (thrown_ || failures_.empty()) return;
        thrown_ = true;
        first = failures_.front();
    }
    std::rethrow_exception(std::move(first));
}

bool detail::group_wait_op::try_commit(work_list&) noexcept { return group_->node_->live() == 0; }
bool detail::group_wait_op::link() noexcept {
    const bool idle = group_->node_->link(waiter_);
    linked_ = !idle;
    return idle;
}
void detail::group_wait_op::unlink() noexcept {
    if (std::exchange(linked_, false)) group_->node_->unlink(waiter_);
}
void detail::group_wait_op::wakers(wake_sources& out) const { out.add_region(*group_->node_); }
void detail::group_wait_op::take() { group_->throw_first_failure(); }

detail::lock* detail::room_op::shared_lock() const noexcept { return &group_->lock_; }
bool detail::room_op::try_commit(work_list&) noexcept { return group_->has_place(); }
bool detail::room_op::link() noexcept {
    group_->waiting_.push_back(*this);
    linked_ = true;
    return false;
}
void detail::room_op::unlink() noexcept {
    lock_guard guard(group_->lock_);
    if (std::exchange(linked_, false)) group_->waiting_.erase(*this);
}

} // namespace levada
