#pragma once

#include <system_error>
#include <utility>

#include <levada/base/clock.hpp>
#include <levada/detail/cancel/done_op.hpp>
#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/engine/tree.hpp>

namespace levada {

namespace detail {
struct token_access;
}

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
    [[nodiscard]] detail::done_op done() const noexcept { return detail::done_op(node_); }

    friend bool operator==(const cancel_token&, const cancel_token&) noexcept = default;

private:
    friend struct detail::token_access;
    explicit cancel_token(detail::tree_node& n) noexcept : node_(&n) { n.ref(); }

    detail::tree_node* node_ = nullptr;
};

/// A token that is not cancelled when this one is: for what has to go on after it. (Go's
/// context.WithoutCancel; a token carries no values, so it is one that is never cancelled.)
[[nodiscard]] inline cancel_token without_cancel(const cancel_token&) noexcept { return {}; }

} // namespace levada
