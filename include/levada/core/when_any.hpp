#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <levada/base/result.hpp>
#include <levada/core/branch.hpp>
#include <levada/core/with_group.hpp>

namespace levada {
namespace detail {

inline constexpr std::size_t no_winner = ~std::size_t(0);

/// The outcome of a branch, as whoever asks for it sees it.
template <class T>
flat_result<T>& outcome_of_branch(branch_outcome<T>& out) {
    if (out.thrown) std::rethrow_exception(out.thrown);
    if (!out.value) out.value.emplace(fail(make_error_code(errc::cancelled)));
    return *out.value;
}

} // namespace detail

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

    /// For the library.
    using outcomes = std::tuple<detail::branch_outcome<T>...>;
    any_result(std::size_t index, outcomes&& all) : index_(index), outcomes_(std::move(all)) {}

private:
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

    /// For the library.
    using outcomes = std::vector<detail::branch_outcome<T>>;
    any_results(std::size_t index, outcomes&& all) : index_(index), outcomes_(std::move(all)) {}

private:
    std::size_t index_;
    outcomes outcomes_;
};

namespace detail {

/// Runs branch `at`; the first one to end stops the others.
template <class B>
task<> race_branch(B& branch, branch_outcome<branch_value<B>>& out, std::atomic<std::size_t>& winner,
                   std::size_t at, task_group& group) {
    co_await run_branch<B>(branch, out);
    std::size_t none = no_winner;
    if (winner.compare_exchange_strong(none, at)) group.cancel();
}

inline void rethrow_winner(const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
}

template <class... B>
task<any_result<branch_value<B>...>> when_any_of(B... branches) {
    typename any_result<branch_value<B>...>::outcomes outcomes;
    std::atomic<std::size_t> winner{no_winner};
    auto body = [&](task_group& g) -> task<> {
        std::apply(
            [&](auto&... out) {
                std::size_t at = 0;
                (g.go(race_branch<B>, std::ref(branches), std::ref(out), std::ref(winner), at++, std::ref(g)),
                 ...);
            },
            outcomes);
        co_return;
    };
    co_await with_group(std::ref(body));
    const std::size_t first = winner.load();
    std::apply(
        [first](auto&... out) {
            std::size_t at = 0;
            ((at++ == first ? rethrow_winner(out.thrown) : void()), ...);
        },
        outcomes);
    co_return any_result<branch_value<B>...>(first, std::move(outcomes));
}

template <class B>
task<any_results<branch_value<B>>> when_any_in(std::vector<B> branches) {
    if (branches.empty()) throw std::invalid_argument("when_any: none of no branches can end first");
    typename any_results<branch_value<B>>::outcomes outcomes(branches.size());
    std::atomic<std::size_t> winner{no_winner};
    auto body = [&](task_group& g) -> task<> {
        for (std::size_t i = 0; i < branches.size(); ++i)
            g.go(race_branch<B>, std::ref(branches[i]), std::ref(outcomes[i]), std::ref(winner), i,
                 std::ref(g));
        co_return;
    };
    co_await with_group(std::ref(body));
    const std::size_t first = winner.load();
    rethrow_winner(outcomes[first].thrown);
    co_return any_results<branch_value<B>>(first, std::move(outcomes));
}

} // namespace detail

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
