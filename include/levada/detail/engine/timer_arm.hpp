#pragma once

#include <levada/base/clock.hpp>
#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/util/timer_queue.hpp>

namespace levada::detail {

/// Waits for a time, or for a length of time from when it begins to wait.
class [[nodiscard]] timer_arm : public awaitable_arm<timer_arm>, private timer_node {
public:
    using outcome = void;
    explicit timer_arm(time_point at) noexcept : at_(at) {}
    explicit timer_arm(duration after) noexcept : after_(after), relative_(true) {}
    timer_arm(timer_arm&& other) noexcept
        : at_(other.at_), after_(other.after_), relative_(other.relative_) {}

    [[nodiscard]] bool may_commit() const noexcept { return !relative_ || after_ <= duration::zero(); }
    bool try_commit(work_list&) noexcept override;
    bool link() noexcept override;
    void unlink() noexcept override;
    void describe(std::string& out) const override;
    void take() const noexcept {}

private:
    void fire() noexcept override;

    time_point at_{};
    duration after_{};
    bool relative_ = false;
    executor* armed_on_ = nullptr;
};

} // namespace levada::detail
