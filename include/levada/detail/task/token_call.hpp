#pragma once

#include <coroutine>
#include <memory>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/cancel/callback.hpp>
#include <levada/cancel/token.hpp>
#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/task/region.hpp>

namespace levada::detail {

/// A call under one more token.
template <class T, class F, class... A>
class [[nodiscard]] token_call final : public call_region<T, F, A...> {
public:
    template <class... B>
    explicit token_call(const cancel_token& token, B&&... call)
        : call_region<T, F, A...>(std::in_place, std::forward<B>(call)...), token_(token) {}
    token_call(token_call&&) = delete;

    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        task_block& task = h.promise().owner();
        this->enter(node_kind::region, task, h.promise());
        this->node().deadline = token_.deadline();
        return this->start_call(
            task, [this] { this->node().attached = std::make_unique<link>(this->node(), token_); });
    }
    flat_result<T> await_resume() { return this->report(); }

private:
    /// Cancels the region with the token. The region's node owns it, and keeps it for what was detached
    /// there.
    class link final : public region_node::attachment {
    public:
        link(region_node& to, const cancel_token& from) : callback_(from, forward{&to, from}) {}

    private:
        struct forward {
            region_node* to;
            cancel_token from;
            void operator()() noexcept {
                region_node* const node = to;
                if (!node->try_ref()) return; // it is being destroyed, and waits for us
                node->cancel(from.reason());
                node->unref(); // may destroy *this
            }
        };
        cancel_callback<forward> callback_;
    };
    cancel_token token_;
};

} // namespace levada::detail
