#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/engine/work_list.hpp>

namespace levada::detail {

/// `co_await token.done()`, and the same as an arm.
class [[nodiscard]] done_op final : public awaitable_arm<done_op> {
public:
    using outcome = std::error_code;
    explicit done_op(tree_node* n) noexcept : node_(n), waiter_(node_kind::on_cancel, *this) {
        if (node_) node_->hold(waiter_);
    }
    done_op(done_op&& other) noexcept
        : node_(std::exchange(other.node_, nullptr)), waiter_(node_kind::on_cancel, *this) {
        waiter_.shard = other.waiter_.shard;
    }
    ~done_op() {
        if (node_) node_->let_go(waiter_);
    }

    [[nodiscard]] bool may_commit() const noexcept { return node_ && node_->cancelled(); }
    bool try_commit(work_list&) noexcept override;
    bool link() noexcept override;
    void unlink() noexcept override;
    bool commits_on_cancel(const tree_node& current) noexcept override;
    bool winner_was_cancel_answer(std::uint32_t, const tree_node& current) noexcept override {
        return commits_on_cancel(current);
    }
    void describe(std::string& out) const override;
    [[nodiscard]] std::error_code take() noexcept { return node_->reason(); }

private:
    tree_node* node_;
    bool linked_ = false;
    tree_waiter waiter_;
};

} // namespace levada::detail
