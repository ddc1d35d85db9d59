#pragma once

// What `when_all` and `when_any` run side by side.

#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <levada/base/result.hpp>
#include <levada/detail/task/gcc12.hpp>
#include <levada/detail/task/started_value.hpp>
#include <levada/task/task.hpp>

namespace levada::detail {

/// A branch is a callable without arguments, or a task that has not begun.
template <class B>
struct branch_of {
    using value = started_value<B>;
};
template <class T>
struct branch_of<task<T>> {
    using value = T;
};
template <class B>
using branch_value = typename branch_of<std::remove_cvref_t<B>>::value;

/// What a branch came to.
template <class T>
class branch_outcome {
public:
    std::optional<flat_result<T>> value;
    std::exception_ptr thrown;
};

template <class B>
task<> run_branch(B& branch, branch_outcome<branch_value<B>>& out) {
    using T = branch_value<B>;
    try {
        if constexpr (is_task<B>) {
            if constexpr (std::is_void_v<T>) {
                co_await std::move(branch);
                out.value.emplace();
            } else {
                out.value.emplace(co_await std::move(branch));
            }
        } else if constexpr (is_task<std::invoke_result_t<B&>>) {
            if constexpr (std::is_void_v<T>) {
                co_await std::invoke(branch);
                out.value.emplace();
            } else {
                out.value.emplace(co_await std::invoke(branch));
            }
        } else if constexpr (std::is_void_v<T>) {
            std::invoke(branch);
            out.value.emplace();
        } else {
            out.value.emplace(std::invoke(branch));
        }
    } catch (...) {
        out.thrown = std::current_exception();
    }
}

template <class B>
consteval void check_branch() {
    if constexpr (!is_task<std::remove_cvref_t<B>>) {
        refuse_destroyed_twice<B>();
        check_returned<std::invoke_result_t<std::decay_t<B>&>>();
    }
}

template <class T>
inline constexpr bool is_vector = false;
template <class T, class A>
inline constexpr bool is_vector<std::vector<T, A>> = true;

} // namespace levada::detail
