#pragma once

#include <concepts>
#include <cstddef>
#include <system_error>
#include <type_traits>
#include <utility>

#include <levada/detail/channel/channel_state.hpp>
#include <levada/detail/channel/stored.hpp>
#include <levada/detail/engine/doors.hpp>
#include <levada/detail/engine/schedule_point.hpp>

namespace levada {

template <class T>
class channel;
template <class T>
class send_channel;
template <class T>
class recv_channel;

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

protected:
    using state_type = channel_state<stored<T>>;
    channel_handle(std::size_t capacity, await_site made_at) : state_(new state_type(capacity, made_at)) {}
    explicit channel_handle(state_type& made) noexcept : state_(&made) {}
    state_type* state_;

    friend struct channel_access;
    template <class U>
    friend class levada::send_channel;
    template <class U>
    friend class levada::recv_channel;
};

/// What the library may do with a channel, and its users may not.
struct channel_access {
    /// The first handle of a channel.
    template <class T>
    [[nodiscard]] static channel<T> first_handle(channel_state<stored<T>>& made) noexcept {
        return channel<T>(made);
    }
    /// Before others know the channel.
    template <class T>
    static void count_ends(channel<T>& c) {
        c.state_->count_ends();
    }
    /// The first end of its side, which the channel counts already.
    template <class End, class View>
    [[nodiscard]] static End first_end(View&& view) noexcept {
        return End(std::move(view));
    }
};

} // namespace detail
} // namespace levada
