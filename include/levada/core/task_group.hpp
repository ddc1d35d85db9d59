#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <source_location>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <levada/base/errc.hpp>
#include <levada/cancel/token.hpp>
#include <levada/core/natural.hpp>
#include <levada/core/spawn.hpp>
#include <levada/core/wait_queue.hpp>

namespace levada {

class task_group;

namespace detail {

/// `co_await group.wait()`, and the same as an arm.
class [[nodiscard]] group_wait_op final : public awaitable_arm<group_wait_op> {
public:
    using outcome = void;
    explicit group_wait_op(task_group& g) noexcept : group_(&g), waiter_(node_kind::on_idle, *this) {}
    group_wait_op(group_wait_op&& other) noexcept
        : group_(other.group_), waiter_(node_kind::on_idle, *this) {}

    bool try_commit(work_list&) noexcept override;
    bool link() noexcept override;
    void unlink() noexcept override;
    void describe(std::string& out) const override { out += "task_group::wait"; }
    void wakers(wake_sources& out) const override;
    void take();

private:
    task_group* group_;
    bool linked_ = false;
    tree_waiter waiter_;
};

/// Waits for room in a group; what it commits is a place.
class room_op : public queued_arm {
public:
    using outcome = void;
    explicit room_op(task_group& g) noexcept;

    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += "task_group::start"; }

protected:
    friend class levada::task_group;
    task_group* group_;
};

template <class F, class... A>
class start_op;

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
    LEVADA_STARTER(void, go, go_at)
    /// The same if there is room under the limit; says whether it did.
    LEVADA_STARTER(bool, try_go, try_go_at)
    /// `co_await g.start(f, args...)` waits for room under the limit, then starts. *Cancel*: starts nothing.
    LEVADA_STARTER([[nodiscard]] auto, start, start_at)
    /// At most `n` tasks at once for `start` and `try_go`; 0, as at first, means any number.
    void limit(std::size_t n) noexcept;

    /// Waits until no task of the group runs. Throws the first failure, once. An arm of select.
    [[nodiscard]] detail::group_wait_op wait() noexcept { return detail::group_wait_op(*this); }

    /// Cancels the group's tasks; in `with_group`, the body too.
    bool cancel(std::error_code why = errc::cancelled) noexcept {
        detail::schedule_point();
        return cancels_->cancel(why);
    }
    [[nodiscard]] cancel_token token() const noexcept { return cancel_token(*node_); }

    /// From now on failures go to `f`, on the loop of the task that failed, and siblings go on.
    void on_failure(std::function<void(std::exception_ptr)> f);
    /// All failures that were kept, the first one first.
    [[nodiscard]] std::vector<std::exception_ptr> failures() const;
    /// The tasks that run.
    [[nodiscard]] std::size_t size() const noexcept { return node_->live(); }

    /// For the library: `go` and `start` with the place that asked for the task.
    template <class F, class... A>
    void go_at(const std::source_location& where, F&& f, A&&... args) {
        detail::check_startable<F, A...>();
        take_place();
        launch(where, std::forward<F>(f), std::forward<A>(args)...);
    }
    template <class F, class... A>
    [[nodiscard]] auto start_at(const std::source_location& where, F&& f, A&&... args) {
        detail::check_natural<F>();
        detail::check_startable<F, A...>();
        return detail::start_op<std::decay_t<F>, std::decay_t<A>...>(where, *this, std::forward<F>(f),
                                                                     std::forward<A>(args)...);
    }
    /// For `with_group`: a group in the region of its body, which is cancelled with it.
    task_group(detail::scope_node& body, const std::source_location& where);
    [[nodiscard]] bool await_idle() noexcept { return node_->await_idle(); }
    [[nodiscard]] bool was_cut() const noexcept { return node_->was_cut(); }
    void throw_first_failure(bool though_thrown);

private:
    friend class detail::group_wait_op;
    friend class detail::room_op;
    template <class F, class... A>
    friend class detail::start_op;
    using failure_handler = std::function<void(std::exception_ptr)>;

    struct child_end {
        static constexpr bool joinable = false;
        task_group* group;
        void ended(detail::control& task, detail::after_unlock& todo) const noexcept {
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
        auto& made = detail::make_control(detail::current_executor("task_group::go"), where, child_end{this},
                                          std::forward<F>(f), std::forward<A>(args)...);
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

    void take_place() noexcept;
    void give_place_back() noexcept;
    [[nodiscard]] bool has_place() noexcept;                 // takes it; with the lock held
    void hand_out_places(detail::work_list& ready) noexcept; // with the lock held
    void child_ended(detail::control& task, detail::after_unlock& todo) noexcept;
    void tell_failure(const failure_handler& tell, std::exception_ptr e) const noexcept;
    [[nodiscard]] bool is_waited_for() const noexcept;

    detail::scope_node* node_;
    detail::scope_node* cancels_; // itself, or the region of the body of its with_group
    bool thrown_ = false;         // the first failure was rethrown
    std::source_location where_;
    mutable detail::wait_queue waiting_; // for room; its lock guards what follows
    std::size_t limit_ = 0;
    std::size_t taken_ = 0;    // places
    detail::work_list failed_; // tasks that have ended, and keep their exceptions; the first one first
    std::shared_ptr<const failure_handler> on_failure_;
};

namespace detail {

template <class F, class... A>
class [[nodiscard]] start_op final : public awaitable_arm<start_op<F, A...>, room_op> {
public:
    using outcome = void;
    template <class G, class... B>
    start_op(const std::source_location& where, task_group& g, G&& f, B&&... args)
        : awaitable_arm<start_op, room_op>(g),
          call_(std::forward<G>(f), std::forward<B>(args)...),
          where_(where) {}

    start_op(start_op&& other)
        : awaitable_arm<start_op, room_op>(*other.group_),
          call_(std::move(other.call_)),
          where_(other.where_) {}

    /// The place is taken: starts the task in it.
    void take() {
        std::apply([this](auto&... parts) { this->group_->launch(where_, std::move(parts)...); }, call_);
    }

private:
    std::tuple<F, A...> call_;
    std::source_location where_;
};

inline room_op::room_op(task_group& g) noexcept : queued_arm(g.waiting_), group_(&g) {}

} // namespace detail
} // namespace levada
