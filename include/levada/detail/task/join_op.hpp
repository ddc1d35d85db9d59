#pragma once

#include <string>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/engine/wake_sources.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada {

template <class T>
class join_handle;

namespace detail {

void describe_join(std::string& out, const task_block& task);
void wakers_of_join(wake_sources& out, const task_block& task);

/// `co_await h.join()`, and the same as an arm.
template <class T>
class [[nodiscard]] join_op final : public awaitable_arm<join_op<T>> {
public:
    using outcome = flat_result<T>;
    explicit join_op(join_handle<T>& h) noexcept : handle_(&h), waiter_(node_kind::on_end, *this) {}
    join_op(join_op&& other) noexcept : handle_(other.handle_), waiter_(node_kind::on_end, *this) {}

    bool try_commit(work_list&) noexcept override { return task().state() == park_state::ended; }
    ~join_op() {
        if (joined_) joined_->unref();
    }
    bool link() noexcept override {
        task_block& t = task();
        if (t.link(waiter_)) return true;
        t.ref(); // the handle may be dropped while this waits
        joined_ = &t;
        linked_ = true;
        return false;
    }
    void unlink() noexcept override {
        if (std::exchange(linked_, false)) joined_->unlink(waiter_);
    }
    void describe(std::string& out) const override { describe_join(out, task()); }
    void wakers(wake_sources& out) const override { wakers_of_join(out, task()); }
    outcome take() {
        if (joined_ && !joined_->has_handle())
            fatal("a join_handle was dropped, or detached, while a task waits in its join(); of the task "
                  "started",
                  joined_->where());
        return handle_->finish();
    }

private:
    task_block& task() const noexcept { return joined_ ? *joined_ : handle_->block(); }
    join_handle<T>* handle_;
    task_block* joined_ = nullptr; // once linked
    bool linked_ = false;
    tree_waiter waiter_;
};

} // namespace detail
} // namespace levada
