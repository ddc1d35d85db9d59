#pragma once

#include <coroutine>
#include <utility>

#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/task/region.hpp>

namespace levada::detail {

/// A call that cancelling from outside does not reach.
template <class T, class F, class... A>
class [[nodiscard]] shield_call final : public call_region<T, F, A...> {
public:
    template <class... B>
    explicit shield_call(std::in_place_t, B&&... call)
        : call_region<T, F, A...>(std::in_place, std::forward<B>(call)...) {}
    shield_call(shield_call&&) = delete;

    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        task_block& task = h.promise().owner();
        this->enter(node_kind::shield, task, h.promise());
        return this->start_call(task);
    }
    T await_resume() {
        if (this->threw()) this->rethrow();
        return this->take();
    }
};

} // namespace levada::detail
