#pragma once

#include <type_traits>
#include <utility>
#include <vector>

#include <levada/detail/task/when_all_of.hpp>
#include <levada/detail/task/when_branch.hpp>

namespace levada {

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
