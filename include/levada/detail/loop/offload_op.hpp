#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/promise.hpp>
#include <levada/detail/loop/offload_job.hpp>

namespace levada::detail {

/// `co_await offload(f, args...)`: the call, its arguments and what it gave.
template <class T, class F, class... A>
class [[nodiscard]] offload_op final : public offload_job, public awaitable_tag {
public:
    using outcome = T;
    template <class G, class... B>
    explicit offload_op(std::in_place_t, G&& f, B&&... args)
        : call_(std::forward<G>(f), std::forward<B>(args)...) {}
    offload_op(offload_op&& other) : offload_job(std::move(other)), call_(std::move(other.call_)) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<P> h) noexcept {
        return h.promise().await_arm(*this);
    }
    T await_resume() { return take(); }
    T take() {
        check_called();
        if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
        if constexpr (!std::is_void_v<T>) return static_cast<T&&>(value_.get());
    }

private:
    void call() noexcept override {
        try {
            const auto invoke = [](auto&... parts) -> T { return std::invoke(std::move(parts)...); };
            if constexpr (std::is_void_v<T>) std::apply(invoke, call_);
            else value_.emplace(std::apply(invoke, call_));
        } catch (...) {
            thrown_ = std::current_exception();
        }
    }
    std::tuple<F, A...> call_;
    std::exception_ptr thrown_;
    [[no_unique_address]] value_slot<T> value_;
};

} // namespace levada::detail
