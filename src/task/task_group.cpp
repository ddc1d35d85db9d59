#include <levada/task/task_group.hpp>

#include <levada/detail/engine/wake_sources.hpp>
#include <levada/detail/inspect/task_view.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada {

using detail::lock_guard;

namespace {

detail::task_block& task_of(work& w) noexcept {
    return static_cast<detail::task_block&>(static_cast<detail::waiter&>(w));
}

} // namespace

task_group::task_group(const std::source_location& where)
    : node_(detail::region_node::open(detail::node_kind::group, detail::current_task("a task_group"))),
      cancels_(node_),
      where_(where) {}

task_group::task_group(body_of body, const std::source_location& where)
    : node_(detail::region_node::open(detail::node_kind::group, detail::current_task("with_group"))),
      cancels_(&body.region),
      where_(where) {}

task_group::~task_group() {
    if (node_->live() != 0) {
        std::string tasks;
        try {
            detail::task_writer writer;
            detail::see_tasks(*node_, [&](const detail::task_view& task) { writer.write(tasks, task); });
        } catch (const std::bad_alloc&) { // as far as it came
        }
        detail::fatal({"a task_group was destroyed ", detail::unwound_by_exception(),
                       "while its tasks run:\n", tasks,
                       "wait for them, or use with_group; the group was made"},
                      where_);
    }
    if (is_waited_for())
        detail::fatal_unless_exiting("a task_group was destroyed while a task waits for it; made", where_);
    while (work* const w = failed_.pop()) task_of(*w).unref();
    node_->close();
}

bool task_group::is_waited_for() const noexcept {
    {
        lock_guard guard(waiting_.guarded_by);
        if (waiting_.is_waited_for()) return true;
    }
    lock_guard guard(node_->mutex());
    const auto& below = node_->children();
    for (auto* e = below.front(); e; e = below.next(*e))
        if (e->kind == detail::node_kind::on_idle) return true;
    return false;
}

void task_group::limit(std::size_t n) noexcept {
    detail::work_list ready;
    {
        lock_guard guard(waiting_.guarded_by);
        limit_ = n;
        hand_out_places(ready);
    }
    detail::post_all(ready);
}

void task_group::take_place() noexcept {
    lock_guard guard(waiting_.guarded_by);
    ++taken_;
}

void task_group::give_place_back() noexcept {
    detail::work_list ready;
    {
        lock_guard guard(waiting_.guarded_by);
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
        if (!waiting_.claim_first(ready)) return;
        ++taken_;
    }
}

void task_group::child_ended(detail::task_block& task, detail::after_unlock& todo) noexcept {
    if (task.has(detail::task_flag::failed)) {
        std::shared_ptr<const failure_handler> tell;
        {
            lock_guard guard(waiting_.guarded_by);
            tell = on_failure_;
            if (!tell) {
                task.keep_failure();
                failed_.push(task);
            }
        }
        if (tell) tell_failure(*tell, task.take_exception());
        else cancels_->cancel(make_error_code(errc::cancelled));
    }
    lock_guard guard(waiting_.guarded_by);
    --taken_;
    hand_out_places(todo.ready);
}

void task_group::tell_failure(const failure_handler& tell, std::exception_ptr e) const noexcept {
    try {
        tell(std::move(e));
    } catch (...) {
        detail::with_words_of(std::current_exception(), [this](std::string_view words) {
            detail::fatal({"the function given to on_failure threw: ", words, "; the group was made"},
                          where_);
        });
    }
}

void task_group::on_failure(std::function<void(std::exception_ptr)> f) {
    auto made = f ? std::make_shared<const failure_handler>(std::move(f)) : nullptr;
    lock_guard guard(waiting_.guarded_by);
    on_failure_.swap(made);
}

std::vector<std::exception_ptr> task_group::failures() const {
    std::vector<std::exception_ptr> all;
    // They are only ever added, at the end, and stay as they are.
    work* first;
    std::size_t n = 0;
    {
        lock_guard guard(waiting_.guarded_by);
        first = failed_.front();
        for (work* w = first; w; w = detail::work_list::next(*w)) ++n;
    }
    all.reserve(n);
    for (work* w = first; n != 0; --n) {
        all.push_back(task_of(*w).kept_failure());
        if (n > 1) w = detail::work_list::next(*w);
    }
    return all;
}

void task_group::throw_first_failure(bool though_thrown) {
    work* first;
    {
        lock_guard guard(waiting_.guarded_by);
        first = failed_.front();
        if (!first || (std::exchange(thrown_, true) && !though_thrown)) return;
        for (work* w = first; w; w = detail::work_list::next(*w)) task_of(*w).failure_is_told();
    }
    std::rethrow_exception(task_of(*first).kept_failure());
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
void detail::group_wait_op::take() { group_->throw_first_failure(false); }

bool detail::room_op::try_commit(work_list&) noexcept { return group_->has_place(); }

} // namespace levada
