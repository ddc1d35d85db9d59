#pragma once

#include <cstddef>
#include <exception>
#include <source_location>
#include <utility>

#include <levada/detail/engine/wait_queue.hpp>
#include <levada/detail/sync/wait_group_op.hpp>
#include <levada/detail/task/starter.hpp>
#include <levada/task/spawn.hpp>

namespace levada {

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
    LEVADA_INTERNAL_STARTER(void, go, go_at)
    /// Waits until the count is 0; several may. Throws what a `go` threw first, once. The group may be
    /// destroyed as soon as this has returned. *Cancel*: withdrawn; the tasks are children of those who
    /// started them. An arm of select.
    [[nodiscard]] detail::wait_group_op wait() noexcept { return detail::wait_group_op(*this, waiting_); }
    [[nodiscard]] std::ptrdiff_t count() const noexcept;

private:
    friend class detail::wait_group_op;
    struct child_end {
        static constexpr bool joinable = false;
        wait_group* group;
        void ended(detail::task_block& task, detail::after_unlock& todo) const noexcept;
    };
    template <class F, class... A>
    void go_at(const std::source_location& where, F&& f, A&&... args) {
        detail::check_startable<F, A...>();
        detail::task_block& parent = detail::current_task("wait_group::go");
        auto& child = detail::make_task_block(*parent.home(), where, child_end{this}, std::forward<F>(f),
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

} // namespace levada
