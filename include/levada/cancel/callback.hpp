#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <levada/cancel/token.hpp>
#include <levada/detail/cancel/callback_entry.hpp>
#include <levada/detail/engine/awaitable.hpp>

namespace levada {

/// Runs `f` when a token is cancelled: at once, in the constructor, if it is already; else on the thread
/// that cancels, after all locks are let go. An exception from `f` terminates.
///
/// The destructor takes the callback back; if it runs on another thread at that moment, it waits for it.
template <std::invocable F>
class [[nodiscard]] cancel_callback final : private detail::callback_entry {
public:
    template <class G>
        requires std::constructible_from<F, G>
    cancel_callback(const cancel_token& token, G&& f) : f_(std::forward<G>(f)) {
        static_assert(!detail::operation_type<std::invoke_result_t<F>>,
                      "a callback is called and not awaited, so it cannot return an operation");
        attach(token);
    }
    ~cancel_callback() { detach(); }

    /// Takes the callback back before the destructor does. True when that prevented it from running.
    bool reset() noexcept { return detach(); }

private:
    void call() noexcept override { std::forward<F>(f_)(); }
    F f_;
};

template <class F>
cancel_callback(const cancel_token&, F) -> cancel_callback<F>;

} // namespace levada
