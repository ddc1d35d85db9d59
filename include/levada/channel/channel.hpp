#pragma once

#include <cstddef>

#include <levada/channel/permit.hpp>
#include <levada/channel/views.hpp>
#include <levada/detail/channel/channel_handle.hpp>
#include <levada/detail/channel/recv_side.hpp>
#include <levada/detail/channel/send_side.hpp>
#include <levada/detail/channel/value_queue.hpp>
#include <levada/detail/engine/await_site.hpp>

namespace levada {

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
    // send, emplace, reserve, close and their kin: detail/channel/send_side.hpp; recv and its kin:
    // recv_side.hpp; size, capacity, closed, reason and the like: channel_handle.hpp.
public:
    /// A rendezvous: a send waits for its receiver.
    channel(detail::await_site made_at = detail::await_site(LEVADA_INTERNAL_HERE))
        : detail::channel_handle<T>(std::size_t(0), made_at) {}
    /// Holds up to `capacity` values; 0 is a rendezvous.
    explicit channel(std::size_t capacity,
                     detail::await_site made_at = detail::await_site(LEVADA_INTERNAL_HERE))
        : detail::channel_handle<T>(capacity, made_at) {}
    channel(nil_t) noexcept {}
    /// Holds any number: a send never waits.
    [[nodiscard]] static channel unbounded(
        detail::await_site made_at = detail::await_site(LEVADA_INTERNAL_HERE)) {
        return channel(detail::unlimited, made_at);
    }

    friend bool operator==(const channel& a, const channel& b) noexcept { return a.same(b); }

private:
    friend struct detail::channel_access;
    friend class detail::send_side<T, channel<T>>;
    friend class detail::recv_side<T, channel<T>>;
    explicit channel(detail::channel_state<detail::stored<T>>& made) noexcept
        : detail::channel_handle<T>(made) {}
    detail::channel_state<detail::stored<T>>* shared() const noexcept { return this->state_; }
};

} // namespace levada
