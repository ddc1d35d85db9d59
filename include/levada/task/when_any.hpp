#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <levada/base/result.hpp>
#include <levada/detail/task/when_any_of.hpp>
#include <levada/detail/task/when_branch.hpp>
#include <levada/task/task.hpp>

namespace levada {

/// What `when_any` gives: which branch ended first, and what became of each.
template <class... T>
class any_result {
public:
    /// The branch that ended first.
    [[nodiscard]] std::size_t index() const noexcept { return index_; }
    /// The outcome of branch `I`: `errc::cancelled` where it was unwound; its value where it ended all the
    /// same. Throws what the branch threw.
    template <std::size_t I>
    [[nodiscard]] auto& get() {
        return detail::outcome_of_branch(std::get<I>(outcomes_));
    }

private:
    template <class... B>
    friend task<any_result<detail::branch_value<B>...>> detail::when_any_of(B... branches);
    using outcomes = std::tuple<detail::branch_outcome<T>...>;
    any_result(std::size_t index, outcomes&& all) : index_(index), outcomes_(std::move(all)) {}

    std::size_t index_;
    outcomes outcomes_;
};
template <std::size_t I, class... T>
[[nodiscard]] auto& get(any_result<T...>& r) {
    return r.template get<I>();
}
template <std::size_t I, class... T>
[[nodiscard]] auto get(any_result<T...>&& r) {
    return std::move(r.template get<I>());
}

/// The same for a run-time number of like branches.
template <class T>
class any_results {
public:
    [[nodiscard]] std::size_t index() const noexcept { return index_; }
    [[nodiscard]] std::size_t size() const noexcept { return outcomes_.size(); }
    /// The outcome of branch `i`, as `any_result::get`.
    [[nodiscard]] detail::flat_result<T>& operator[](std::size_t i) {
        return detail::outcome_of_branch(outcomes_[i]);
    }

private:
    template <class B>
    friend task<any_results<detail::branch_value<B>>> detail::when_any_in(std::vector<B> branches);
    using outcomes = std::vector<detail::branch_outcome<T>>;
    any_results(std::size_t index, outcomes&& all) : index_(index), outcomes_(std::move(all)) {}

    std::size_t index_;
    outcomes outcomes_;
};

/// `co_await when_any(f, g, ...)` runs the branches as tasks side by side until the first one ends, cancels
/// the others, waits until they have unwound, and gives an `any_result`: the index of the first, and the
/// outcome of each, so that one that ended in spite of the cancel is not lost. A branch is a callable without
/// arguments, or a task. If the first one threw, so does this; what another one threw comes from its `get`.
///
/// It needs a branch: an empty vector throws `std::invalid_argument`. *Cancel*: all are cancelled and joined.
template <class... B>
    requires(sizeof...(B) > 0 && (!detail::is_vector<std::remove_cvref_t<B>> && ...))
[[nodiscard]] auto when_any(B&&... branches) {
    (detail::check_branch<B>(), ...);
    return detail::when_any_of<std::decay_t<B>...>(std::forward<B>(branches)...);
}
/// The same for a run-time number of like branches; gives an `any_results`.
template <class B>
[[nodiscard]] auto when_any(std::vector<B> branches) {
    detail::check_branch<B&>();
    return detail::when_any_in<B>(std::move(branches));
}

} // namespace levada
