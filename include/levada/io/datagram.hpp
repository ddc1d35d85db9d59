#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <levada/io/address.hpp>
#include <levada/io/descriptor.hpp>

namespace levada {

/// What came with a datagram.
struct datagram {
    std::size_t size = 0;   ///< bytes that were put into the buffer
    socket_address from;    ///< who sent it
    bool truncated = false; ///< it was longer than the buffer; the rest is lost
};

namespace detail {

/// What a socket of datagrams keeps. It does not move, so that operations may refer to it.
struct datagram_state {
    explicit datagram_state(descriptor d) noexcept : fd(std::move(d)) {}
    descriptor fd;
    struct late {
        std::vector<std::byte> bytes;
        datagram what;
    };
    std::deque<late> kept; // what receives that came too late had received
    int kept_error = 0;    // negated errno that one of them was told
};

/// A message header with what it refers to.
struct message_space;

class [[nodiscard]] recv_from_op final : public kernel_awaitable<recv_from_op> {
public:
    static constexpr bool may_lose = true;
    using outcome = result<datagram>;
    recv_from_op(datagram_state& s, std::span<std::byte> to);
    recv_from_op(recv_from_op&& other) noexcept;
    ~recv_from_op();
    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += "a datagram"; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override { return interrupted(answer); }
    void lost(int answer) noexcept override;
    [[nodiscard]] datagram received(int size) const noexcept;
    datagram_state* socket_;
    std::span<std::byte> to_;
    std::unique_ptr<message_space> space_;
    bool at_once_ = false;
    int failed_ = 0;
    datagram kept_;
};

class [[nodiscard]] send_to_op final : public kernel_awaitable<send_to_op> {
public:
    using outcome = result<void>;
    /// Without an address to the peer that the socket is connected to.
    send_to_op(datagram_state& s, std::span<const std::byte> from, const socket_address* to);
    send_to_op(send_to_op&& other) noexcept;
    ~send_to_op();
    void describe(std::string& out) const override { out += "send of a datagram"; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override { return interrupted(answer); }
    datagram_state* socket_;
    std::span<const std::byte> from_;
    std::unique_ptr<message_space> space_;
};

} // namespace detail

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
    explicit datagram_socket(detail::descriptor fd)
        : state_(std::make_unique<detail::datagram_state>(std::move(fd))) {}
    /// An open socket, bound if an address is given.
    [[nodiscard]] static result<detail::descriptor> open(int family, const socket_address* local,
                                                         bool reuse_port);

private:
    static std::span<const std::byte> bytes_of(std::string_view s) noexcept {
        return std::as_bytes(std::span<const char>(s.data(), s.size()));
    }
    std::unique_ptr<detail::datagram_state> state_;
};

} // namespace levada
