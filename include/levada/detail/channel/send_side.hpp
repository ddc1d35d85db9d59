#pragma once

#include <chrono>
#include <concepts>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>

#include <levada/base/clock.hpp>
#include <levada/detail/channel/channel_ops.hpp>
#include <levada/detail/channel/channel_state.hpp>
#include <levada/detail/channel/stored.hpp>
#include <levada/detail/engine/blocking.hpp>
#include <levada/detail/engine/doors.hpp>
#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/task/gcc12.hpp>
#include <levada/detail/util/clock_arithmetic.hpp>

namespace levada::detail {

/// g++ before 13 destroys an aggregate temporary twice in an awaited expression.
template <class T>
consteval void check_sendable() {
    static_assert(
        !double_destroys || !std::is_aggregate_v<T> || std::is_array_v<T> ||
            std::is_trivially_destructible_v<T>,
        "g++ before 13 destroys a temporary aggregate twice in co_await ch.send(M{...}): use "
        "ch.emplace(...), give the type a constructor, or name the value and send(std::as_const(v))");
}

/// The sending half. `D` is the handle, which stays const: handles are pointers.
template <class T, class D>
class send_side {
    using value = stored<T>;

public:
    /// Sends a value: hands it to a waiting receiver, or buffers it; first come, first served.
    ///
    /// *Suspends* while there is neither a receiver nor room. *Outcomes*: `errc::closed` when the channel is,
    /// or gets, closed; `std::errc::not_enough_memory` where an unbounded one has none. The value is moved
    /// from only when the send commits: after a failure, a cancel, or as a losing arm of select it is as it
    /// was. *Threads*: any. *Cancel*: withdrawn without effect. *Resumes* on the task's own executor. An arm
    /// of select. (After Go's chan.go.)
    [[nodiscard]] auto send(value&& v) const noexcept
        requires(!std::is_void_v<T>)
    {
        check_sendable<value>();
        return send_op<T>(state(), &v);
    }
    /// The same with a copy, made here and now.
    [[nodiscard]] auto send(const value& v) const
        requires(!std::is_void_v<T> && std::copy_constructible<value>)
    {
        return send_value_op<T>(std::in_place, state(), v);
    }
    [[nodiscard]] auto send() const noexcept
        requires std::is_void_v<T>
    {
        return send_value_op<T>(std::in_place, state());
    }
    /// The same with a value built from `args`, here and now.
    template <class... A>
        requires std::constructible_from<value, A...>
    [[nodiscard]] auto emplace(A&&... args) const {
        return send_value_op<T>(std::in_place, state(), std::forward<A>(args)...);
    }
    /// Waits for room and reserves it. *Outcomes*: `result<permit<T>>`; `errc::closed`; on a rendezvous
    /// channel, which has no room, `operation_not_supported`. *Cancel*: withdrawn. An arm of select.
    [[nodiscard]] auto reserve() const noexcept { return reserve_op<T>(state()); }

    /// Sends if that is possible at once. *Outcomes*: `errc::full`, `errc::closed`; the value is then as it
    /// was. Never suspends; *Threads*: any.
    result<void> try_send(value&& v) const noexcept
        requires(!std::is_void_v<T>)
    {
        return try_now(v);
    }
    result<void> try_send(const value& v) const
        requires(!std::is_void_v<T> && std::copy_constructible<value>)
    {
        value copy(v);
        return try_now(copy);
    }
    result<void> try_send() const noexcept
        requires std::is_void_v<T>
    {
        value v;
        return try_now(v);
    }

    /// Sends from a plain thread, which sleeps meanwhile. Terminates on a loop's own thread.
    template <class... A>
        requires(std::constructible_from<value, A...>)
    result<void> send_blocking(A&&... v) const {
        return send_until(time_point::max(), std::forward<A>(v)...);
    }
    /// The same, for `d` at most: `errc::timed_out`. An rvalue is moved from only when it was sent.
    template <class Rep, class Period, class... A>
        requires(std::constructible_from<value, A...>)
    result<void> send_blocking_for(std::chrono::duration<Rep, Period> d, A&&... v) const {
        return send_until(saturating_add(std::chrono::steady_clock::now(), to_duration(d)),
                          std::forward<A>(v)...);
    }

    /// Closes the channel, with a reason for its receivers. Says whether it was this call that closed it.
    /// Waiting senders end with `errc::closed`, their values untouched; receivers get what is buffered, then
    /// the reason. *Threads*: any.
    bool close(std::error_code why = errc::closed) const noexcept {
        schedule_point();
        return state() && state()->close(why);
    }

private:
    channel_state<value>* state() const noexcept { return static_cast<const D&>(*this).shared(); }
    result<void> try_now(value& v) const noexcept {
        schedule_point();
        if (!state()) return fail(errc::full);
        send_arm<value> s(state(), &v);
        work_list ready;
        bool done;
        {
            lock_guard guard(state()->mutex());
            done = state()->send_now(s, ready);
        }
        post_all(ready);
        if (!done) return fail(errc::full);
        if (s.status != channel_status::done) return fail(send_failure(s.status));
        return {};
    }
    template <class... A>
    result<void> send_until(time_point deadline, A&&... v) const {
        if constexpr (sizeof...(A) == 1 && (std::is_same_v<A, value> && ...)) {
            send_op<T> op(state(), std::addressof(v)...);
            return block_on(op, deadline);
        } else {
            send_value_op<T> op(std::in_place, state(), std::forward<A>(v)...);
            return block_on(op, deadline);
        }
    }
};

} // namespace levada::detail
