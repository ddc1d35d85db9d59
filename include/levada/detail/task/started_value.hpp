#pragma once

#include <concepts>
#include <functional>
#include <type_traits>

#include <levada/detail/engine/promise.hpp>
#include <levada/detail/task/gcc12.hpp>

namespace levada::detail {

template <class R>
struct task_value {
    using type = R;
};
template <class T>
struct task_value<task<T>> {
    using type = T;
};

/// What calling `f(args...)` as a task gives: `T` for a coroutine of `task<T>`, else what it returns.
template <class F, class... A>
using started_value = typename task_value<std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>>::type;

template <class F, class... A>
concept startable = std::invocable<std::decay_t<F>, std::decay_t<A>...>;

template <class F, class... A>
consteval void check_startable() {
    static_assert(
        !is_task<std::remove_cvref_t<F>>,
        "pass the function and its arguments, not a task: go(f, x), not go(f(x)). They are then kept "
        "for as long as the task runs");
    if constexpr (!is_task<std::remove_cvref_t<F>>) {
        static_assert(startable<F, A...>, "the callable cannot be called with these arguments (they are "
                                          "decay-copied, as by std::thread: use std::ref to refer)");
        if constexpr (startable<F, A...>)
            check_returned<std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>>();
    }
}

} // namespace levada::detail
