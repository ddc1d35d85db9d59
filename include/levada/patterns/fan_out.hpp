#pragma once

#include <concepts>
#include <cstddef>
#include <source_location>
#include <type_traits>
#include <utility>
#include <vector>

#include <levada/detail/patterns/fan_out_tasks.hpp>
#include <levada/detail/task/gcc12.hpp>
#include <levada/task/spawn.hpp>

namespace levada {

/// `co_await fan_out(items, f, limit)` runs `f(item)`, a coroutine or a plain callable, in a task for each
/// item, at most `limit` of them at once (0: all), and gives what they return in the items' order.
///
/// The first exception cancels the other tasks and is thrown once they have ended. *Cancel*: all are
/// cancelled and joined.
template <class I, class F>
[[nodiscard]] auto fan_out(std::vector<I> items, F&& f, std::size_t limit = 0, LEVADA_INTERNAL_CALLER) {
    detail::refuse_destroyed_twice<F>();
    static_assert(std::invocable<std::decay_t<F>&, I>, "the function takes an item");
    detail::check_returned<std::invoke_result_t<std::decay_t<F>&, I>>();
    using T = typename detail::task_value<std::invoke_result_t<std::decay_t<F>&, I>>::type;
    if constexpr (std::is_void_v<T>)
        return detail::fan_out_void<I, std::decay_t<F>>(std::move(items), std::forward<F>(f), limit, where);
    else
        return detail::fan_out_values<T, I, std::decay_t<F>>(std::move(items), std::forward<F>(f), limit,
                                                             where);
}

} // namespace levada
