#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>
#include <vector>

#include <levada/core/natural.hpp>
#include <levada/core/with_group.hpp>

namespace levada {
namespace detail {

template <class I, class F, class T>
task<> fan_out_one(I item, F& f, std::optional<T>& out) {
    if constexpr (is_task<std::invoke_result_t<F&, I>>) out.emplace(co_await std::invoke(f, std::move(item)));
    else out.emplace(std::invoke(f, std::move(item)));
    co_return;
}

template <class I, class F>
task<> fan_out_one_void(I item, F& f) {
    if constexpr (is_task<std::invoke_result_t<F&, I>>) co_await std::invoke(f, std::move(item));
    else std::invoke(f, std::move(item));
    co_return;
}

template <class T, class I, class F>
task<std::vector<T>> fan_out_values(std::vector<I> items, F f, std::size_t limit,
                                    const std::source_location where) {
    std::vector<std::optional<T>> found(items.size());
    auto body = [&](task_group& g) -> task<> {
        g.limit(limit);
        for (std::size_t i = 0; i < items.size(); ++i)
            co_await g.start_at(where, fan_out_one<I, F, T>, std::move(items[i]), std::ref(f),
                                std::ref(found[i]));
    };
    co_await with_group(std::ref(body));
    std::vector<T> values;
    values.reserve(found.size());
    for (auto& v : found) values.push_back(std::move(*v));
    co_return values;
}

template <class I, class F>
task<> fan_out_void(std::vector<I> items, F f, std::size_t limit, const std::source_location where) {
    auto body = [&](task_group& g) -> task<> {
        g.limit(limit);
        for (std::size_t i = 0; i < items.size(); ++i)
            co_await g.start_at(where, fan_out_one_void<I, F>, std::move(items[i]), std::ref(f));
    };
    co_await with_group(std::ref(body));
}

} // namespace detail

/// `co_await fan_out(items, f, limit)` runs `f(item)`, a coroutine or a plain callable, in a task for each
/// item, at most `limit` of them at once (0: all), and gives what they return in the items' order.
///
/// The first exception cancels the other tasks and is thrown once they have ended. *Cancel*: all are
/// cancelled and joined.
template <class I, class F>
[[nodiscard]] auto fan_out(std::vector<I> items, F&& f, std::size_t limit = 0, LEVADA_HERE) {
    detail::check_natural<F>();
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
