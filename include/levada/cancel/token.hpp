#pragma once

#include <system_error>
#include <utility>

#include <levada/base/awaitable.hpp>
#include <levada/base/clock.hpp>
#include <levada/cancel/node.hpp>

namespace levada {

class cancel_token;

namespace detail {

/// `co_await token.done()`, and the same as an arm.
class [[nodiscard]] done_op final : public awaitable_arm<done_op> {
public:
    using outcome = std::error_code;
    explicit done_op(const cancel_token& t) noexcept;
    done_op(done_op&& other) noexcept
        : node_(std::exchange(other.node_, nullptr)), waiter_(node_kind::on_cancel, *this) {
        waiter_.shard = other.waiter_.shard;
    }
    ~done_op();

    [[nodiscard]] bool may_commit() const noexcept { return node_ && node_->cancelled(); }
    bool try_commit(work_list&) noexcept override;
    bool link() noexcept override;
    void unlink() noexcept override;
    bool answer_cancel(const cancel_node& current) noexcept override;
    bool answered_cancel(std::uint32_t, const cancel_node& current) noexcept override {
        return answer_cancel(current);
    }
    void describe(std::string& out) const override;
    [[nodiscard]] std::error_code take() noexcept { return node_->reason(); }

private:
    cancel_node* node_;
    bool linked_ = false;
    tree_waiter waiter_;
};

} // namespace detail

/// A handle to something that can be cancelled: a `cancel_source`'s, or a task's own (`this_task::token()`).
/// Cheap to copy; thread-safe. A default-made token is never cancelled.
class cancel_token {
public:
    cancel_token() noexcept = default;
    cancel_token(const cancel_token& other) noexcept : node_(other.node_) {
        if (node_) node_->ref();
    }
    cancel_token(cancel_token&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    cancel_token& operator=(cancel_token other) noexcept {
        std::swap(node_, other.node_);
        return *this;
    }
    ~cancel_token() {
        if (node_) node_->unref();
    }

    /// Whether it, or a token above it, was cancelled or has run out of time.
    [[nodiscard]] bool cancelled() const noexcept {
        detail::schedule_point();
        return node_ && node_->cancelled();
    }
    /// Why; a code of value 0 while it is not cancelled. The first reason stays.
    [[nodiscard]] std::error_code reason() const noexcept {
        return node_ ? node_->reason() : std::error_code();
    }
    /// The nearest deadline among it and those above it; `time_point::max()`: none.
    [[nodiscard]] time_point deadline() const noexcept { return detail::deadline_of(node_); }
    /// Waits until it is cancelled, and gives the reason.
    ///
    /// *Suspends* until then; for ever on a default-made token. *Cancel*: waiting for the task's own token,
    /// or one above it, commits instead of unwinding, once; the next operation unwinds. An arm of select.
    [[nodiscard]] detail::done_op done() const noexcept { return detail::done_op(*this); }

    friend bool operator==(const cancel_token&, const cancel_token&) noexcept = default;

    /// For the library: refers to `n`.
    explicit cancel_token(detail::cancel_node& n) noexcept : node_(&n) { n.ref(); }
    [[nodiscard]] detail::cancel_node* node() const noexcept { return node_; }

private:
    detail::cancel_node* node_ = nullptr;
};

/// A token that is not cancelled when this one is: for what has to go on after it. (Go's
/// context.WithoutCancel; a token carries no values, so it is one that is never cancelled.)
[[nodiscard]] inline cancel_token without_cancel(const cancel_token&) noexcept { return {}; }

inline detail::done_op::done_op(const cancel_token& t) noexcept
    : node_(t.node()), waiter_(node_kind::on_cancel, *this) {
    if (node_) node_->hold(waiter_);
}
inline detail::done_op::~done_op() {
    if (node_) node_->let_go(waiter_);
}

} // namespace levada
