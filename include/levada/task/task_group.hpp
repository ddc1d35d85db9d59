#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <source_location>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <levada/base/errc.hpp>
#include <levada/cancel/token.hpp>
#include <levada/detail/cancel/token_access.hpp>
#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/engine/wait_queue.hpp>
#include <levada/detail/engine/work_list.hpp>
#include <levada/detail/task/gcc12.hpp>
#include <levada/detail/task/group_wait_op.hpp>
#include <levada/detail/task/spawn_at.hpp>
#include <levada/detail/task/started_block.hpp>
#include <levada/detail/task/started_value.hpp>
#include <levada/detail/task/starter.hpp>

namespace levada {

namespace detail {
class room_op;
template <class F, class... A>
class start_op;
template <class F, class T>
class with_group_op;
struct group_access;
} // namespace detail

/// Tasks that belong together: the first failure cancels the others, and all end before the group does.
///
/// Use it through `with_group`. The open form, `task_group g; g.go(...); co_await g.wait();`, terminates
/// when it is destroyed with running tasks, except while a cancel unwinds its task: then they have ended
/// before. It belongs to the task that constructed it, and its tasks live under its token.
class task_group {
public:
    explicit task_group(const std::source_location& where = std::source_location::current());
    ~task_group();
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;

    /// `go(f, args...)` starts `f(args...)` in the group. A limit does not hold it up.
    LEVADA_INTERNAL_STARTER(void, go, go_at)
    /// The same if there is room under the limit; says whether it did.
    LEVADA_INTERNAL_STARTER(bool, try_go, try_go_at)
    /// `co_await g.start(f, args...)` waits for room under the limit, then starts. *Cancel*: starts nothing.
    LEVADA_INTERNAL_STARTER([[nodiscard]] auto, start, start_at)
    /// At most `n` tasks at once for `start` and `try_go`; 0, as at first, means any number.
    void limit(std::size_t n) noexcept;

    /// Waits until no task of the group runs. Throws the first failure, once. An arm of select.
    [[nodiscard]] detail::group_wait_op wait() noexcept { return detail::group_wait_op(*this); }

    /// Cancels the group's tasks; in `with_group`, the body too.
    bool cancel(std::error_code why = errc::cancelled) noexcept {
        detail::schedule_point();
        return cancels_->cancel(why);
    }
    [[nodiscard]] cancel_token token() const noexcept { return detail::token_access::refer_to(*node_); }

    /// From now on failures go to `f`, on the loop of the task that failed, and siblings go on.
    void on_failure(std::function<void(std::exception_ptr)> f);
    /// All failures that were kept, the first one first.
    [[nodiscard]] std::vector<std::exception_ptr> failures() const;
    /// The tasks that run.
    [[nodiscard]] std::size_t size() const noexcept { return node_->live(); }

private:
    struct body_of {
        explicit body_of(detail::region_node& r) noexcept : region(r) {}
        detail::region_node& region;
    };

public:
    /// For `with_group`: a group in the region of its body, which is cancelled with it.
    task_group(body_of body, const std::source_location& where);

private:
    friend class detail::group_wait_op;
    template <class F, class T>
    friend class detail::with_group_op;
    friend struct detail::group_access;
    friend class detail::room_op;
    template <class F, class... A>
    friend class detail::start_op;
    using failure_handler = std::function<void(std::exception_ptr)>;

    struct child_end {
        static constexpr bool joinable = false;
        task_group* group;
        void ended(detail::task_block& task, detail::after_unlock& todo) const noexcept {
            group->child_ended(task, todo);
        }
    };

    template <class F, class... A>
    void launch(const std::source_location& where, F&& f, A&&... args) {
        // A place was taken for it: given back if an argument's copy throws.
        struct place {
            task_group* group;
            ~place() {
                if (group) group->give_place_back();
            }
        } taken{this};
        auto& made = detail::make_task_block(detail::current_executor("task_group::go"), where,
                                             child_end{this}, std::forward<F>(f), std::forward<A>(args)...);
        taken.group = nullptr;
        made.launch(*node_);
    }
    template <class F, class... A>
    bool try_go_at(const std::source_location& where, F&& f, A&&... args) {
        detail::check_startable<F, A...>();
        {
            detail::lock_guard guard(waiting_.guarded_by);
            if (!has_place()) return false;
        }
        launch(where, std::forward<F>(f), std::forward<A>(args)...);
        return true;
    }

    template <class F, class... A>
    void go_at(const std::source_location& where, F&& f, A&&... args) {
        detail::check_startable<F, A...>();
        take_place();
        launch(where, std::forward<F>(f), std::forward<A>(args)...);
    }
    template <class F, class... A>
    [[nodiscard]] auto start_at(const std::source_location& where, F&& f, A&&... args) {
        detail::refuse_destroyed_twice<F>();
        detail::check_startable<F, A...>();
        return detail::start_op<std::decay_t<F>, std::decay_t<A>...>(where, *this, std::forward<F>(f),
                                                                     std::forward<A>(args)...);
    }
    [[nodiscard]] bool await_idle() noexcept { return node_->await_idle(); }
    [[nodiscard]] bool child_was_unwound() const noexcept { return node_->child_was_unwound(); }
    void throw_first_failure(bool though_thrown);
    void take_place() noexcept;
    void give_place_back() noexcept;
    [[nodiscard]] bool has_place() noexcept;                 // takes it; with the lock held
    void hand_out_places(detail::work_list& ready) noexcept; // with the lock held
    void child_ended(detail::task_block& task, detail::after_unlock& todo) noexcept;
    void tell_failure(const failure_handler& tell, std::exception_ptr e) const noexcept;
    [[nodiscard]] bool is_waited_for() const noexcept;

    detail::region_node* node_;
    detail::region_node* cancels_; // itself, or the region of the body of its with_group
    bool thrown_ = false;          // the first failure was rethrown
    std::source_location where_;
    mutable detail::wait_queue waiting_; // for room; its lock guards what follows
    std::size_t limit_ = 0;
    std::size_t taken_ = 0;    // places
    detail::work_list failed_; // tasks that have ended, and keep their exceptions; the first one first
    std::shared_ptr<const failure_handler> on_failure_;
};

} // namespace levada

// What it is made of; needs the class above.
#include <levada/detail/task/start_op.hpp>
