#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <levada/detail/channel/channel_handle.hpp>
#include <levada/detail/channel/recv_side.hpp>
#include <levada/detail/channel/send_side.hpp>

namespace levada {

/// Go's nil channel: sends and receives wait for ever, and select never takes them.
struct nil_t {};
inline constexpr nil_t nil{};

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
