#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/io/accept_op.hpp>
#include <levada/detail/io/close_op.hpp>
#include <levada/detail/io/listener_state.hpp>
#include <levada/io/address.hpp>
#include <levada/io/descriptor.hpp>
#include <levada/io/stream.hpp>
#include <levada/task/task.hpp>

namespace levada {

class tcp_stream;
class tcp_listener;

/// A TCP connection. Move-only; closed with its owner. One task may read and another write at the same time;
/// it must outlive their operations, as an object does that is declared before them.
class tcp_stream : public byte_stream {
public:
    /// Connects to "host:port", where host is a number, localhost, or a name, whose addresses are tried in
    /// turn. *Suspends* until connected. *Outcomes*: `result<tcp_stream>`: `std::errc::invalid_argument` for
    /// a text that is no address; a code of `resolve_category()`; the system's code for the address that was
    /// last. A task, not an operation: start it with `with_timeout(d, tcp_stream::connect, "...")` for a
    /// limit. *Cancel*: withdrawn; the socket is closed.
    [[nodiscard]] static task<result<tcp_stream>> connect(std::string address);

    [[nodiscard]] result<socket_address> local_address() const;
    [[nodiscard]] result<socket_address> peer_address() const;
    /// Sends small writes at once (TCP_NODELAY). On, to begin with.
    result<void> set_no_delay(bool on) noexcept;
    /// Has the system find out whether a silent peer is still there (SO_KEEPALIVE). Off, to begin with.
    result<void> set_keep_alive(bool on) noexcept;
    /// The same in a time of one's own, from 2 s to 65,534: asks a peer that is silent for half of it, and
    /// breaks the connection (`ETIMEDOUT`) if there is no answer within the other half. (A peer to whom
    /// something is on its way meanwhile is given up by the system alone, after some 15 minutes.)
    result<void> set_keep_alive(std::chrono::seconds gone_after) noexcept;

    /// Closes now, and tells the peer that the connection is broken (a TCP reset): once it has read what has
    /// reached it, its reads fail with `ECONNRESET`, and its writes fail. What is on its way is dropped. For
    /// who passes a broken connection on, as a proxy does, and for who will not wait for a peer. As with
    /// `close()`, nothing may read or write meanwhile, and the descriptor is gone afterwards. *Outcomes*:
    /// `result<void>`; the system's code.
    [[nodiscard]] detail::close_op reset() noexcept;

    /// Over a connected socket that the program was given. It is closed with this, and has to be without
    /// `O_NONBLOCK`.
    explicit tcp_stream(descriptor fd) : byte_stream(std::move(fd), true) {}
};

struct tcp_listen_options {
    int backlog = 1024;
    bool reuse_address = true;
    bool reuse_port = false;
    /// Whether the system may accept ahead of who asks, all that stand in its backlog at once (multishot).
    /// False for who wants to hold no more connections than it serves (but one, after an accept was given
    /// up).
    bool accept_ahead = true;
    /// As `tcp_stream::set_keep_alive`, for all that is accepted; 0: off.
    std::chrono::seconds keep_alive{0};
};

/// A TCP socket that accepts connections. Move-only; closed with its owner.
class tcp_listener {
public:
    /// Binds and listens; port 0 lets the system choose. *Outcomes*: `std::errc::invalid_argument` for a text
    /// that is no address; the system's code, `std::errc::address_in_use` among them. Does not suspend.
    [[nodiscard]] static result<tcp_listener> bind(std::string_view address,
                                                   const tcp_listen_options& options = {});

    /// Waits for a connection. *Outcomes*: `result<tcp_stream>`; the system's code (EMFILE: try again later).
    /// *Cancel*: withdrawn; a connection that came all the same is reported, or kept for whoever waits. An
    /// arm of select.
    [[nodiscard]] detail::accept_op<tcp_stream> accept() noexcept {
        return detail::accept_op<tcp_stream>(*state_);
    }
    /// Where it listens, with the port that the system chose.
    [[nodiscard]] socket_address local_address() const noexcept { return address_; }
    [[nodiscard]] int native_handle() const noexcept { return state_->fd.get(); }

private:
    tcp_listener(descriptor fd, const socket_address& address, bool ahead);
    std::unique_ptr<detail::listener_state> state_;
    socket_address address_;
};

} // namespace levada
