#pragma once

#include <chrono>
#include <optional>
#include <type_traits>
#include <utility>

#include <levada/base/clock.hpp>
#include <levada/detail/engine/timer_arm.hpp>
#include <levada/detail/task/bounded_op.hpp>
#include <levada/detail/task/deadline_call.hpp>
#include <levada/detail/task/gcc12.hpp>
#include <levada/detail/task/inner_op.hpp>
#include <levada/detail/task/started_value.hpp>
#include <levada/detail/util/clock_arithmetic.hpp>

namespace levada {

/// `co_await with_deadline(t, f, args...)` runs `f(args...)` and gives `result<T>`: its value, or
/// `errc::timed_out` if the deadline passed and the call was unwound. A call that returns all the same gives
/// its value. A cancel from outside unwinds through. `f` and the arguments are kept until it ends.
template <class F, class... A>
    requires(!detail::arm_operation<F>)
[[nodiscard]] auto with_deadline(time_point at, F&& f, A&&... args) {
    detail::refuse_destroyed_twice<F>();
    detail::check_startable<F, A...>();
    using T = detail::started_value<F, A...>;
    return detail::deadline_call<T, std::decay_t<F>, std::decay_t<A>...>(std::nullopt, at, std::forward<F>(f),
                                                                         std::forward<A>(args)...);
}
/// The same, `d` after the call began.
template <class Rep, class Period, class F, class... A>
    requires(!detail::arm_operation<F>)
[[nodiscard]] auto with_timeout(std::chrono::duration<Rep, Period> d, F&& f, A&&... args) {
    detail::refuse_destroyed_twice<F>();
    detail::check_startable<F, A...>();
    using T = detail::started_value<F, A...>;
    return detail::deadline_call<T, std::decay_t<F>, std::decay_t<A>...>(
        std::optional<duration>(detail::to_duration(d)), time_point::max(), std::forward<F>(f),
        std::forward<A>(args)...);
}

/// The same around one operation, which costs no frame: `co_await with_timeout(1s, ch.recv())`. What is ready
/// at once is taken, even after the deadline.
template <detail::arm_operation Op>
    requires(!std::is_lvalue_reference_v<Op>)
[[nodiscard]] auto with_deadline(time_point at, Op&& op) {
    return detail::bounded_op<Op, detail::timer_arm>(std::move(op), detail::timer_arm(at), false);
}
template <class Rep, class Period, detail::arm_operation Op>
    requires(!std::is_lvalue_reference_v<Op>)
[[nodiscard]] auto with_timeout(std::chrono::duration<Rep, Period> d, Op&& op) {
    return detail::bounded_op<Op, detail::timer_arm>(std::move(op), detail::timer_arm(detail::to_duration(d)),
                                                     false);
}

} // namespace levada
