#pragma once

#include <coroutine>
#include <memory>
#include <utility>

#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/task/region.hpp>

namespace levada::detail {

/// The value of the calling task under a key, from its innermost region outwards; null where there is none.
[[nodiscard]] const void* find_task_local(const void* key) noexcept;

/// A call with one more value.
template <class V, class T, class F, class... A>
class [[nodiscard]] value_call final : public call_region<T, F, A...> {
public:
    template <class... B>
    value_call(const void* key, V&& value, B&&... call)
        : call_region<T, F, A...>(std::in_place, std::forward<B>(call)...),
          kept_(std::make_unique<kept>(key, std::move(value))) {}
    value_call(value_call&&) = delete;

    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        task_block& task = h.promise().owner();
        this->enter(node_kind::region, task, h.promise());
        this->node().attached = std::move(kept_);
        return this->start_call(task);
    }
    T await_resume() {
        if (this->threw()) this->rethrow();
        return this->take();
    }

private:
    class kept final : public region_node::attachment {
    public:
        kept(const void* key, V&& value) : key_(key), value_(std::move(value)) {}
        [[nodiscard]] const void* value_of(const void* key) const noexcept override {
            return key == key_ ? std::addressof(value_) : nullptr;
        }

    private:
        const void* key_;
        V value_;
    };
    std::unique_ptr<kept> kept_;
};

} // namespace levada::detail
