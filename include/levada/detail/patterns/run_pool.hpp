#pragma once

// The tasks of `worker_pool`.

#include <cstddef>
#include <functional>
#include <source_location>
#include <type_traits>
#include <utility>

#include <levada/channel/views.hpp>
#include <levada/detail/task/group_access.hpp>
#include <levada/task/defer.hpp>
#include <levada/task/with_group.hpp>

namespace levada::detail {

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
            group_access::go_at(g, where, pool_worker<J, R, F>, std::ref(g), jobs, results, std::ref(f));
        co_return;
    };
    co_await with_group(std::ref(body));
}

} // namespace levada::detail
