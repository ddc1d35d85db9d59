#pragma once

#include <atomic>
#include <concepts>
#include <thread>
#include <type_traits>
#include <utility>

#include <levada/base/awaitable.hpp>
#include <levada/cancel/token.hpp>

namespace levada {

namespace detail {

/// A leaf that runs a function. Its states:
/// `linked` in its parent's list (guarded by the parent's lock); `queued` in the list of a canceller, and
/// `running` (both guarded by one global lock); `done`.
class callback_entry : public tree_entry {
public:
    callback_entry() noexcept : tree_entry(node_kind::callback) {}
    callback_entry(const callback_entry&) = delete;
    callback_entry& operator=(const callback_entry&) = delete;

    enum class state : std::uint8_t { idle, linked, queued, running, done };

protected:
    ~callback_entry() = default;
    /// Links below `t`, or runs at once if that is cancelled.
    void attach(const cancel_token& t) noexcept;
    /// True when the function will not run, and did not.
    bool detach() noexcept;

private:
    friend class cancel_node;
    friend struct after_unlock;
    virtual void call() noexcept = 0;
    static void run_all(intrusive_list<callback_entry>& queue) noexcept;

    cancel_token token_;
    intrusive_list<callback_entry>* queue_ = nullptr;
    std::thread::id runner_;
    bool* gone_ = nullptr; // set by a destructor that runs inside call()
    std::atomic<state> state_{state::idle};
};

} // namespace detail

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
