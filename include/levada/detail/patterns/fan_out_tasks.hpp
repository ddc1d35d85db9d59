#pragma once

// The tasks of `fan_out`.

#include <cstddef>
#include <functional>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>
#include <vector>

#include <levada/detail/task/group_access.hpp>
#include <levada/task/with_group.hpp>

namespace levada::detail {

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
            co_await group_access::start_at(g, where, fan_out_one<I, F, T>, std::move(items[i]), std::ref(f),
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
            co_await group_access::start_at(g, where, fan_out_one_void<I, F>, std::move(items[i]),
                                            std::ref(f));
    };
    co_await with_group(std::ref(body));
}

} // namespace levada::detail
