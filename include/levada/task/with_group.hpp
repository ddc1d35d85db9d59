#pragma once

#include <concepts>
#include <source_location>
#include <type_traits>
#include <utility>

#include <levada/detail/task/gcc12.hpp>
#include <levada/detail/task/started_value.hpp>
#include <levada/detail/task/with_group_op.hpp>
#include <levada/task/task_group.hpp>

namespace levada {

/// `co_await with_group([&](task_group& g) -> task<T> {...})` runs the body with a group of its own, waits
/// for the group's tasks, and gives the body's value.
///
/// When the body throws or is cancelled, the tasks are cancelled and joined. When a task fails, the body and
/// the other tasks are cancelled and joined, and the failure is rethrown. When the group is cancelled by
/// `g.cancel()` and the body unwinds, a `with_group` without a value returns; one that owes a value throws
/// `std::system_error` with the reason.
template <class F>
[[nodiscard]] auto with_group(F&& body, const std::source_location& where = std::source_location::current()) {
    detail::refuse_destroyed_twice<F>();
    static_assert(std::invocable<std::decay_t<F>&, task_group&>, "the body takes a task_group&");
    detail::check_returned<std::invoke_result_t<std::decay_t<F>&, task_group&>>();
    using T = typename detail::task_value<std::invoke_result_t<std::decay_t<F>&, task_group&>>::type;
    return detail::with_group_op<std::decay_t<F>, T>(std::forward<F>(body), where);
}

} // namespace levada
