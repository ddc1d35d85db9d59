#pragma once

#include <cstddef>
#include <utility>

#include <levada/channel/channel.hpp>
#include <levada/channel/views.hpp>
#include <levada/detail/channel/channel_handle.hpp>
#include <levada/detail/channel/counted_end.hpp>
#include <levada/detail/engine/await_site.hpp>

namespace levada {

/// A sending end that counts: when the last of a channel's is gone, the channel closes. Converts to
/// `send_channel`, which does not count.
template <class T>
class send_end : public detail::counted_end<send_channel<T>, true> {
public:
    using detail::counted_end<send_channel<T>, true>::counted_end;
};

/// A receiving end that counts: when the last is gone, sends end with `errc::closed`.
template <class T>
class recv_end : public detail::counted_end<recv_channel<T>, false> {
public:
    using detail::counted_end<recv_channel<T>, false>::counted_end;
};

/// A channel of its two counted ends: `auto [tx, rx] = make_ends<int>(100);`. A capacity of 0 is a
/// rendezvous.
template <class T>
[[nodiscard]] std::pair<send_end<T>, recv_end<T>> make_ends(
    std::size_t capacity = 0, detail::await_site made_at = detail::await_site(LEVADA_INTERNAL_HERE)) {
    channel<T> ch(capacity, made_at);
    detail::channel_access::count_ends(ch);
    return {detail::channel_access::first_end<send_end<T>>(send_channel<T>(ch)),
            detail::channel_access::first_end<recv_end<T>>(recv_channel<T>(std::move(ch)))};
}
/// The same without a limit.
template <class T>
[[nodiscard]] std::pair<send_end<T>, recv_end<T>> make_unbounded_ends(
    detail::await_site made_at = detail::await_site(LEVADA_INTERNAL_HERE)) {
    channel<T> ch = channel<T>::unbounded(made_at);
    detail::channel_access::count_ends(ch);
    return {detail::channel_access::first_end<send_end<T>>(send_channel<T>(ch)),
            detail::channel_access::first_end<recv_end<T>>(recv_channel<T>(std::move(ch)))};
}

} // namespace levada
