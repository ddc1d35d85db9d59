#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <levada/base/result.hpp>
#include <levada/core/branch.hpp>
#include <levada/core/with_group.hpp>

namespace levada {
namespace detail {

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

} // namespace detail

/// `co_await when_all(f, g, ...)` runs the branches as tasks side by side, waits for all, and gives a tuple
/// of their outcomes: `result<T>` each (for a branch of `result<U>`, that). A branch is a callable without
/// arguments, or a task. One that throws does not stop the others; when all have ended the first one's
/// exception, in the order of the arguments, is thrown. *Cancel*: all branches are cancelled and joined.
template <class... B>
    requires(!detail::is_vector<std::remove_cvref_t<B>> && ...)
[[nodiscard]] auto when_all(B&&... branches) {
    (detail::check_branch<B>(), ...);
    return detail::when_all_of<std::decay_t<B>...>(std::forward<B>(branches)...);
}
/// The same for a run-time number of like branches; gives a vector.
template <class B>
[[nodiscard]] auto when_all(std::vector<B> branches) {
    detail::check_branch<B&>();
    return detail::when_all_in<B>(std::move(branches));
}

} // namespace levada
