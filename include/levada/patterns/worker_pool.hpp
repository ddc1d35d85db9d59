#pragma once

#include <cstddef>
#include <functional>
#include <source_location>
#include <type_traits>
#include <utility>

#include <levada/core/defer.hpp>
#include <levada/core/natural.hpp>
#include <levada/core/with_group.hpp>
#include <levada/sync/channel.hpp>

namespace levada {
namespace detail {

template <class J, class R, class F>
task<> pool_worker(task_group& pool, recv_channel<J> jobs, send_channel<R> results, F& f) {
    using returned = std::invoke_result_t<F&, J>;
    while (auto job = co_await jobs.recv()) {
        if constexpr (is_task<returned>) {
            auto value = co_await std::invoke(f, std::move(*job));
            auto sent = co_await results.send(std::move(value));
            if (!sent) break;
        } else {
            auto sent = co_await results.emplace(std::invoke(f, std::move(*job)));
            if (!sent) break;
        }
    }
    if (results.closed()) pool.cancel(); // nobody wants what the others wait for
}

template <class J, class R, class F>
task<> run_pool(std::size_t n, recv_channel<J> jobs, send_channel<R> results, F f,
                const std::source_location where) {
    defer done([&] { results.close(); });
    auto body = [&](task_group& g) -> task<> {
        for (std::size_t i = 0; i < n; ++i)
            g.go_at(where, pool_worker<J, R, F>, std::ref(g), jobs, results, std::ref(f));
        co_return;
    };
    co_await with_group(std::ref(body));
}

} // namespace detail

/// `co_await worker_pool(n, jobs, results, f)`: `n` workers range over `jobs` and send `f(job)`, which may be
/// a coroutine, to `results`; the results come in the order in which they are done. Returns, and closes
/// `results`, when `jobs` is closed and drained, or when nobody receives results any more. (Go by Example:
/// Worker Pools.)
///
/// An exception from `f` cancels the other workers, closes `results` and is thrown here. *Cancel*: the
/// workers are cancelled and joined, and `results` is closed; a job that was taken is lost with its worker.
template <class Jobs, class Results, class F>
[[nodiscard]] task<> worker_pool(std::size_t n, const Jobs& jobs, const Results& results, F&& f,
                                 LEVADA_HERE) {
    detail::check_natural<F>();
    using J = typename Jobs::value_type;
    using R = typename Results::value_type;
    static_assert(std::invocable<std::decay_t<F>&, J>, "the workers' function takes a job");
    detail::check_returned<std::invoke_result_t<std::decay_t<F>&, J>>();
    return detail::run_pool<J, R, std::decay_t<F>>(n, jobs, results, std::forward<F>(f), where);
}

} // namespace levada
