#pragma once

#include <string>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/engine/wake_sources.hpp>
#include <levada/detail/engine/work_list.hpp>

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

} // namespace detail
} // namespace levada
