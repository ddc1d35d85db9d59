#pragma once

#include <coroutine>
#include <cstddef>
#include <iterator>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>

#include <levada/detail/channel/kept_outcome.hpp>
#include <levada/detail/engine/doors.hpp>
#include <levada/detail/util/small_array.hpp>

namespace levada {

template <class T>
class range_result;

namespace detail {

/// Like arms of a run-time number; itself an arm of select.
template <class Range>
class [[nodiscard]] range_op final : public any_of, public awaitable_tag {
    using op = std::ranges::range_value_t<Range>;

public:
    using outcome = range_result<or_monostate<typename op::outcome>>;

    explicit range_op(Range&& r) : range_(std::forward<Range>(r)) {}
    range_op(range_op&& other) : range_(std::forward<Range>(other.range_)) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        list_.reset(arm_count());
        list_arms(list_.data());
        return wait(h.promise().owner(), h.promise().frame(), list_.size(), no_arm);
    }
    outcome await_resume() { return take(settle()); }

    [[nodiscard]] std::size_t arm_count() const noexcept {
        return static_cast<std::size_t>(std::ranges::size(range_));
    }
    arm** list_arms(arm** at) {
        for (auto& a : range_) *at++ = &a;
        return at;
    }
    outcome take(std::size_t winner) {
        auto& a = *std::ranges::next(std::ranges::begin(range_), static_cast<std::ptrdiff_t>(winner));
        if constexpr (std::is_void_v<typename op::outcome>)
            return a.take(), outcome(winner, std::monostate());
        else return outcome(winner, a.take());
    }

private:
    std::span<arm* const> arms() const noexcept override { return {list_.data(), list_.size()}; }
    Range range_; // a reference, where an lvalue was given
    small_array<arm*, 8> list_;
};

} // namespace detail
} // namespace levada
