#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include <levada/base/errc.hpp>
#include <levada/base/result.hpp>
#include <levada/detail/task/when_branch.hpp>
#include <levada/task/task.hpp>
#include <levada/task/task_group.hpp>
#include <levada/task/with_group.hpp>

namespace levada::detail {

// The coroutines of `when_all`.

template <class T>
flat_result<T> take_outcome(branch_outcome<T>& out, std::exception_ptr& first) {
    if (out.thrown) {
        if (!first) first = out.thrown;
        return fail(make_error_code(errc::cancelled)); // never seen: the exception is thrown
    }
    if (!out.value) return fail(make_error_code(errc::cancelled));
    return std::move(*out.value);
}

template <class... B>
task<std::tuple<flat_result<branch_value<B>>...>> when_all_of(B... branches) {
    std::tuple<branch_outcome<branch_value<B>>...> outcomes;
    auto body = [&](task_group& g) -> task<> {
        std::apply([&](auto&... out) { (g.go(run_branch<B>, std::ref(branches), std::ref(out)), ...); },
                   outcomes);
        co_return;
    };
    co_await with_group(std::ref(body));
    std::exception_ptr first;
    auto all = std::apply(
        [&first](auto&... out) {
            return std::tuple<flat_result<branch_value<B>>...>{take_outcome(out, first)...};
        },
        outcomes);
    if (first) std::rethrow_exception(first);
    co_return all;
}

template <class B>
task<std::vector<flat_result<branch_value<B>>>> when_all_in(std::vector<B> branches) {
    std::vector<branch_outcome<branch_value<B>>> outcomes(branches.size());
    auto body = [&](task_group& g) -> task<> {
        for (std::size_t i = 0; i < branches.size(); ++i)
            g.go(run_branch<B>, std::ref(branches[i]), std::ref(outcomes[i]));
        co_return;
    };
    co_await with_group(std::ref(body));
    std::exception_ptr first;
    std::vector<flat_result<branch_value<B>>> all;
    all.reserve(outcomes.size());
    for (auto& out : outcomes) all.push_back(take_outcome(out, first));
    if (first) std::rethrow_exception(first);
    co_return all;
}

} // namespace levada::detail
