#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <stdexcept>
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

namespace levada {

template <class... T>
class any_result;
template <class T>
class any_results;

namespace detail {

// The coroutines of `when_any`.

inline constexpr std::size_t no_winner = ~std::size_t(0);

/// The outcome of a branch, as whoever asks for it sees it.
template <class T>
flat_result<T>& outcome_of_branch(branch_outcome<T>& out) {
    if (out.thrown) std::rethrow_exception(out.thrown);
    if (!out.value) out.value.emplace(fail(make_error_code(errc::cancelled)));
    return *out.value;
}

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
} // namespace levada
