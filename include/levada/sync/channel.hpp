#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <levada/base/fatal.hpp>
#include <levada/core/natural.hpp>
#include <levada/sync/blocking.hpp>
#include <levada/sync/channel_ops.hpp>

namespace levada {

template <class T>
class channel;
template <class T>
class send_channel;
template <class T>
class recv_channel;

/// Go's nil channel: sends and receives wait for ever, and select never takes them.
struct nil_t {};
inline constexpr nil_t nil{};

/// A reserved place in a bounded channel, or in one without a limit. Dropped, it frees the place. Move-only.
template <class T>
class [[nodiscard]] permit {
public:
    permit(permit&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    permit& operator=(permit&& other) noexcept {
        if (this != &other) {
            release();
            state_ = std::exchange(other.state_, nullptr);
        }
        return *this;
    }
    ~permit() { release(); }

    /// Puts the value into the place, at once. Fails with `errc::closed` only; the value is untouched then.
    /// A permit is used once. *Threads*: any.
    result<void> send(detail::stored<T>&& value) noexcept {
        detail::schedule_point();
        if (!state_) detail::fatal("a permit was used twice, or after it was moved from");
        auto* state = std::exchange(state_, nullptr);
        const bool sent = state->send_reserved(value);
        state->unref();
        if (!sent) return fail(errc::closed);
        return {};
    }
    result<void> send(const detail::stored<T>& value)
        requires std::copy_constructible<detail::stored<T>>
    {
        return send(detail::stored<T>(value));
    }
    result<void> send() noexcept
        requires std::is_void_v<T>
    {
        return send(detail::unit());
    }

    /// For the library: a place has been reserved.
    explicit permit(detail::channel_state<detail::stored<T>>& state) noexcept : state_(&state) {
        state.ref();
    }

private:
    void release() noexcept {
        if (!state_) return;
        state_->free_reserved();
        std::exchange(state_, nullptr)->unref();
    }
    detail::channel_state<detail::stored<T>>* state_;
};

namespace detail {

/// Marks the counted ends of ends.hpp. A view made from one is another handle, and the end stays as it is,
/// also where it was moved from: it has to find its channel to count itself out.
struct counts_itself {};
template <class E>
concept counted = std::derived_from<std::remove_cvref_t<E>, counts_itself>;

/// What every handle of a channel has in common. A handle is a counted pointer.
template <class T>
class channel_handle {
public:
    using value_type = T;

    channel_handle() noexcept : state_(nullptr) {}
    channel_handle(const channel_handle& other) noexcept : state_(other.state_) {
        if (state_) state_->ref();
    }
    channel_handle(channel_handle&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    channel_handle& operator=(channel_handle other) noexcept {
        std::swap(state_, other.state_);
        return *this;
    }
    ~channel_handle() {
        if (state_) state_->unref();
    }

    /// The values that are buffered. *Threads*: any; it may have changed when it is looked at.
    [[nodiscard]] std::size_t size() const noexcept {
        schedule_point();
        return state_ ? state_->size() : 0;
    }
    /// 0: rendezvous; the largest `size_t`: unbounded.
    [[nodiscard]] std::size_t capacity() const noexcept { return state_ ? state_->capacity() : 0; }
    [[nodiscard]] bool closed() const noexcept {
        schedule_point();
        return state_ && state_->closed();
    }
    /// What it was closed with; a code of value 0 while it is open.
    [[nodiscard]] std::error_code reason() const noexcept {
        schedule_point();
        return state_ ? state_->reason() : std::error_code();
    }
    /// Whether both name the same channel.
    [[nodiscard]] bool same(const channel_handle& other) const noexcept { return state_ == other.state_; }
    [[nodiscard]] bool is_nil() const noexcept { return state_ == nullptr; }
    /// Whether no other handle, and no waiting operation, keeps the channel.
    [[nodiscard]] bool is_last_handle() const noexcept { return state_ && state_->unique(); }

    /// For `make_ends`, before others know the channel.
    void count_ends() { state_->count_ends(); }

protected:
    using state_type = channel_state<stored<T>>;
    channel_handle(std::size_t capacity, await_site made_at) : state_(new state_type(capacity, made_at)) {}
    explicit channel_handle(state_type& made) noexcept : state_(&made) {}
    state_type* state_;

    template <class U>
    friend class levada::send_channel;
    template <class U>
    friend class levada::recv_channel;
};

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

/// The receiving half.
template <class T, class D>
class recv_side {
    using value = stored<T>;

public:
    /// Receives a value: the oldest one buffered, or straight from the sender that waits longest.
    ///
    /// *Suspends* while there is none. *Outcomes*: `result<T>`; once the channel is closed and drained, the
    /// reason it was closed with. *Threads*: any. *Cancel*: withdrawn; no value is lost. *Resumes* on the
    /// task's own executor. An arm of select. (After Go's chan.go.)
    [[nodiscard]] auto recv() const noexcept { return recv_op<T>(state()); }

    /// Receives at least one value, unless closed, and appends up to `max` of those that are there to `out`.
    /// *Outcomes*: `result<std::size_t>`, how many. *Cancel*: withdrawn; no value is lost.
    template <class Alloc>
    [[nodiscard]] auto recv_many(std::vector<value, Alloc>& out, std::size_t max) const
        requires(!std::is_void_v<T>)
    {
        return recv_many_op<T, Alloc>(state(), out, max);
    }

    /// Receives if that is possible at once. *Outcomes*: `errc::empty`; closed: the reason. Never suspends.
    /// *Threads*: any.
    [[nodiscard]] result<T> try_recv() const noexcept {
        schedule_point();
        if (!state()) return fail(errc::empty);
        recv_op<T> r(state());
        work_list ready;
        bool done;
        {
            lock_guard guard(state()->mutex());
            done = state()->recv_now(r, ready);
        }
        asm volatile("" : : "r"(&r) : "memory"); // g++ 12 sees an uninitialized value where there is none
        post_all(ready);
        if (!done) return fail(errc::empty);
        return r.take();
    }

    /// Receives on a plain thread, which sleeps meanwhile. Terminates on a loop's own thread.
    [[nodiscard]] result<T> recv_blocking() const noexcept {
        recv_op<T> r(state());
        return block_on(r, time_point::max());
    }
    /// The same, for `d` at most: `errc::timed_out`.
    template <class Rep, class Period>
    [[nodiscard]] result<T> recv_blocking_for(std::chrono::duration<Rep, Period> d) const noexcept {
        recv_op<T> r(state());
        return block_on(r, saturating_add(std::chrono::steady_clock::now(), to_duration(d)));
    }

private:
    channel_state<value>* state() const noexcept { return static_cast<const D&>(*this).shared(); }
};

} // namespace detail

/// A channel of `T`s, or of bare signals (`channel<void>`): a rendezvous, bounded, or unbounded.
///
/// A handle is cheap; copies name the same channel. Any number of tasks and threads may send and receive.
/// `T` is moved between tasks and must not throw when it is; it may be move-only. What is still buffered when
/// the last handle goes is destroyed. Memory is taken when a channel is made (and in blocks by an unbounded
/// one), never by a send or a receive.
template <class T>
class channel : public detail::channel_handle<T>,
                public detail::send_side<T, channel<T>>,
                public detail::recv_side<T, channel<T>> {
public:
    /// A rendezvous: a send waits for its receiver.
    channel(detail::await_site made_at = detail::await_site(LEVADA_INTERNAL_HERE))
        : detail::channel_handle<T>(std::size_t(0), made_at) {}
    /// Holds up to `capacity` values; 0 is a rendezvous.
    explicit channel(std::size_t capacity,
                     detail::await_site made_at = detail::await_site(LEVADA_INTERNAL_HERE))
        : detail::channel_handle<T>(capacity, made_at) {}
    channel(nil_t) noexcept {}
    /// For the library: the first handle of a channel.
    explicit channel(detail::channel_state<detail::stored<T>>& made) noexcept
        : detail::channel_handle<T>(made) {}
    /// Holds any number: a send never waits.
    [[nodiscard]] static channel unbounded(
        detail::await_site made_at = detail::await_site(LEVADA_INTERNAL_HERE)) {
        return channel(detail::unlimited, made_at);
    }

    friend bool operator==(const channel& a, const channel& b) noexcept { return a.same(b); }

private:
    friend class detail::send_side<T, channel<T>>;
    friend class detail::recv_side<T, channel<T>>;
    detail::channel_state<detail::stored<T>>* shared() const noexcept { return this->state_; }
};

/// The view of a channel that only sends, and may close.
template <class T>
class send_channel : public detail::channel_handle<T>, public detail::send_side<T, send_channel<T>> {
public:
    send_channel(nil_t) noexcept {}
    send_channel(const channel<T>& c) noexcept : detail::channel_handle<T>(c) {}
    send_channel(channel<T>&& c) noexcept : detail::channel_handle<T>(std::move(c)) {}
    template <detail::counted E>
        requires std::derived_from<std::remove_cvref_t<E>, send_channel>
    send_channel(E&& end) noexcept : send_channel(static_cast<const send_channel&>(end)) {}
    template <detail::counted E>
        requires std::derived_from<std::remove_cvref_t<E>, send_channel>
    send_channel& operator=(E&& end) noexcept {
        return *this = send_channel(static_cast<const send_channel&>(end));
    }

    friend bool operator==(const send_channel& a, const send_channel& b) noexcept { return a.same(b); }

private:
    friend class detail::send_side<T, send_channel<T>>;
    detail::channel_state<detail::stored<T>>* shared() const noexcept { return this->state_; }
};

/// The view of a channel that only receives.
template <class T>
class recv_channel : public detail::channel_handle<T>, public detail::recv_side<T, recv_channel<T>> {
public:
    recv_channel(nil_t) noexcept {}
    recv_channel(const channel<T>& c) noexcept : detail::channel_handle<T>(c) {}
    recv_channel(channel<T>&& c) noexcept : detail::channel_handle<T>(std::move(c)) {}
    template <detail::counted E>
        requires std::derived_from<std::remove_cvref_t<E>, recv_channel>
    recv_channel(E&& end) noexcept : recv_channel(static_cast<const recv_channel&>(end)) {}
    template <detail::counted E>
        requires std::derived_from<std::remove_cvref_t<E>, recv_channel>
    recv_channel& operator=(E&& end) noexcept {
        return *this = recv_channel(static_cast<const recv_channel&>(end));
    }

    friend bool operator==(const recv_channel& a, const recv_channel& b) noexcept { return a.same(b); }

private:
    friend class detail::recv_side<T, recv_channel<T>>;
    detail::channel_state<detail::stored<T>>* shared() const noexcept { return this->state_; }
};

/// `std::vector<recv_channel<int>>` and the like need no more than equality within one type; between a view
/// and its channel it is the same question.
template <class T>
[[nodiscard]] bool operator==(const channel<T>& a, const recv_channel<T>& b) noexcept {
    return a.same(b);
}
template <class T>
[[nodiscard]] bool operator==(const channel<T>& a, const send_channel<T>& b) noexcept {
    return a.same(b);
}

} // namespace levada
