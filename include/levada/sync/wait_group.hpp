#pragma once

#include <cstddef>
#include <exception>
#include <source_location>
#include <utility>

#include <levada/core/spawn.hpp>
#include <levada/core/wait_queue.hpp>

namespace levada {

class wait_group;

namespace detail {

/// `co_await wg.wait()`, and the same as an arm.
class [[nodiscard]] wait_group_op final : public queue_awaitable<wait_group_op> {
public:
    using outcome = void;
    explicit wait_group_op(wait_group& g) noexcept;
    wait_group_op(wait_group_op&& other) noexcept : wait_group_op(*other.group_) {}

    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override;
    void await_resume() { take(); }
    void take() { failed_task(std::move(failed_)).rethrow(); }

private:
    friend class levada::wait_group;
    wait_group* group_;
    failed_task failed_; // given with the commit, so that the group may be gone when it is thrown
};

} // namespace detail

/// Go's WaitGroup: a count that is waited for to become 0. Neither copied nor moved.
class wait_group {
public:
    explicit wait_group(const std::source_location& where = std::source_location::current()) noexcept
        : where_(where) {}
    ~wait_group();
    wait_group(const wait_group&) = delete;
    wait_group& operator=(const wait_group&) = delete;

    /// *Threads*: any. A count below 0 terminates.
    void add(std::ptrdiff_t n = 1) noexcept;
    void done() noexcept { add(-1); }
    /// `go(f, args...)` counts, starts `f(args...)` as a child of the calling task, and counts down when it
    /// has ended. If it throws, the others go on and `wait()` rethrows the first.
    LEVADA_STARTER(void, go, go_at)
    /// Waits until the count is 0; several may. Throws what a `go` threw first, once. The group may be
    /// destroyed as soon as this has returned. *Cancel*: withdrawn; the tasks are children of those who
    /// started them. An arm of select.
    [[nodiscard]] detail::wait_group_op wait() noexcept { return detail::wait_group_op(*this); }
    [[nodiscard]] std::ptrdiff_t count() const noexcept;

private:
    friend class detail::wait_group_op;
    struct child_end {
        static constexpr bool joinable = false;
        wait_group* group;
        void ended(detail::control& task, detail::after_unlock& todo) const noexcept;
    };
    template <class F, class... A>
    void go_at(const std::source_location& where, F&& f, A&&... args) {
        detail::check_startable<F, A...>();
        detail::control& parent = detail::current_task("wait_group::go");
        auto& child = detail::make_control(*parent.home(), where, child_end{this}, std::forward<F>(f),
                                           std::forward<A>(args)...);
        started();
        child.launch(*parent.current());
    }
    void started() noexcept;
    void change(std::ptrdiff_t by, detail::work_list& ready) noexcept; // with the lock held

    mutable detail::wait_queue waiting_; // its lock guards what follows
    std::ptrdiff_t count_ = 0;
    std::size_t running_ = 0;    // tasks of go()
    detail::failed_task failed_; // the first one
    std::source_location where_;
};

inline detail::wait_group_op::wait_group_op(wait_group& g) noexcept
    : queue_awaitable(g.waiting_), group_(&g) {}

} // namespace levada
