#pragma once

#include <concepts>
#include <cstddef>
#include <source_location>
#include <type_traits>
#include <utility>

#include <levada/channel/channel.hpp>
#include <levada/detail/patterns/run_pool.hpp>
#include <levada/detail/task/gcc12.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/task.hpp>

namespace levada {

/// `co_await worker_pool(n, jobs, results, f)`: `n` workers range over `jobs` and send `f(job)`, which may be
/// a coroutine, to `results`; the results come in the order in which they are done. Returns, and closes
/// `results`, when `jobs` is closed and drained, or when nobody receives results any more. (Go by Example:
/// Worker Pools.)
///
/// An exception from `f` cancels the other workers, closes `results` and is thrown here. *Cancel*: the
/// workers are cancelled and joined, and `results` is closed; a job that was taken is lost with its worker.
template <class Jobs, class Results, class F>
[[nodiscard]] task<> worker_pool(std::size_t n, const Jobs& jobs, const Results& results, F&& f,
                                 LEVADA_INTERNAL_CALLER) {
    detail::refuse_destroyed_twice<F>();
    using J = typename Jobs::value_type;
    using R = typename Results::value_type;
    static_assert(std::invocable<std::decay_t<F>&, J>, "the workers' function takes a job");
    detail::check_returned<std::invoke_result_t<std::decay_t<F>&, J>>();
    return detail::run_pool<J, R, std::decay_t<F>>(n, jobs, results, std::forward<F>(f), where);
}

} // namespace levada
