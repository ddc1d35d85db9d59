#pragma once

#include <chrono>
#include <system_error>
#include <utility>

#include <levada/base/errc.hpp>
#include <levada/cancel/token.hpp>
#include <levada/detail/cancel/token_access.hpp>
#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/util/clock_arithmetic.hpp>

namespace levada {

/// The right to cancel: move-only, and its destructor cancels, as Go's `defer cancel()`.
///
/// A child of a cancelled parent is born cancelled with the parent's reason; cancelling a child does not
/// touch its parent. A deadline that is later than the parent's has no effect, one that has passed cancels
/// at once. The deadline's reason is `errc::timed_out` unless it is given one; a loop has to run for it to
/// fire.
class cancel_source {
public:
    explicit cancel_source(const cancel_token& parent = {}) : cancel_source(time_point::max(), parent) {}
    /// Cancels itself after `d`, measured by the loop it is made on, for the reason `late`.
    template <class Rep, class Period>
    explicit cancel_source(std::chrono::duration<Rep, Period> d, const cancel_token& parent = {},
                           std::error_code late = errc::timed_out)
        : cancel_source(detail::saturating_add(now(), detail::to_duration(d)), parent, late) {}
    explicit cancel_source(time_point deadline, const cancel_token& parent = {},
                           std::error_code late = errc::timed_out);

    cancel_source(cancel_source&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    cancel_source& operator=(cancel_source&& other) noexcept {
        if (this != &other) {
            release();
            node_ = std::exchange(other.node_, nullptr);
        }
        return *this;
    }
    ~cancel_source() { release(); }

    /// Cancels the token and all below it. Says whether it was this call that did; later reasons are dropped.
    /// *Threads*: any. Does not wait for anybody; callbacks run before it returns.
    bool cancel(std::error_code why = errc::cancelled) noexcept {
        detail::schedule_point();
        return node_ && node_->cancel(why);
    }

    [[nodiscard]] cancel_token token() const noexcept {
        return node_ ? detail::token_access::refer_to(*node_) : cancel_token();
    }

private:
    void release() noexcept;
    detail::source_node* node_;
};

} // namespace levada
