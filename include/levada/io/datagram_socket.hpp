#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/io/close_op.hpp>
#include <levada/detail/io/datagram_ops.hpp>
#include <levada/detail/io/datagram_state.hpp>
#include <levada/io/address.hpp>
#include <levada/io/datagram.hpp>
#include <levada/io/descriptor.hpp>

namespace levada {

/// A socket of datagrams: what `udp_socket` and `unix_datagram` share. Move-only; closed with its owner. One
/// task may receive and another send at the same time; it must outlive their operations.
class datagram_socket {
public:
    /// Waits for a datagram, and puts as much of it into `to` as fits.
    /// *Outcomes*: `result<datagram>`; the system's code (`ECONNREFUSED` on a connected socket: nobody
    /// listens there). *Cancel*: withdrawn; a datagram that came all the same is reported, or kept for the
    /// next receive. An arm of select.
    [[nodiscard]] detail::recv_from_op recv_from(std::span<std::byte> to) { return {*state_, to}; }
    [[nodiscard]] detail::recv_from_op recv_from(std::span<char> to) {
        return recv_from(std::as_writable_bytes(to));
    }
    /// Sends one datagram. *Outcomes*: `result<void>`; the system's code (`EMSGSIZE`: too long). *Cancel*:
    /// withdrawn, or sent whole.
    [[nodiscard]] detail::send_to_op send_to(std::span<const std::byte> from, const socket_address& to) {
        return {*state_, from, &to};
    }
    [[nodiscard]] detail::send_to_op send_to(std::string_view from, const socket_address& to) {
        return send_to(bytes_of(from), to);
    }
    /// The same, to the peer that the socket is connected to.
    [[nodiscard]] detail::send_to_op send(std::span<const std::byte> from) {
        return {*state_, from, nullptr};
    }
    [[nodiscard]] detail::send_to_op send(std::string_view from) { return send(bytes_of(from)); }

    [[nodiscard]] result<socket_address> local_address() const;
    /// Sets the peer: the only one to be received from, and where `send` sends to. Does not suspend.
    result<void> connect_to(const socket_address& peer) noexcept;
    /// Closes now and tells how it went. Nothing may receive or send meanwhile.
    [[nodiscard]] detail::close_op close() noexcept { return detail::close_op(state_->fd); }
    [[nodiscard]] int native_handle() const noexcept { return state_->fd.get(); }

protected:
    explicit datagram_socket(descriptor fd)
        : state_(std::make_unique<detail::datagram_state>(std::move(fd))) {}
    /// An open socket, bound if an address is given.
    [[nodiscard]] static result<descriptor> open(int family, const socket_address* local, bool reuse_port);

private:
    static std::span<const std::byte> bytes_of(std::string_view s) noexcept {
        return std::as_bytes(std::span<const char>(s.data(), s.size()));
    }
    std::unique_ptr<detail::datagram_state> state_;
};

} // namespace levada
