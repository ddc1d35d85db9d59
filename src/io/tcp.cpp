#include <levada/io/tcp.hpp>

#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include <levada/io/resolve.hpp>

namespace levada {

using detail::last_error;

namespace {

/// A new socket with TCP_NODELAY, which a listener hands on to what it accepts.
detail::descriptor new_socket(int family) noexcept {
    detail::descriptor fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (fd) (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

task<result<tcp_stream>> connect_to(socket_address to) {
    detail::descriptor fd = new_socket(to.family());
    if (!fd) co_return last_error();
    auto connected = co_await detail::connect_op(fd.get(), to);
    if (!connected) co_return fail(connected.error());
    co_return tcp_stream(std::move(fd));
}

} // namespace

task<result<tcp_stream>> tcp_stream::connect(std::string address) {
    if (auto number = socket_address::parse(address)) co_return co_await connect_to(*number);
    const auto invalid = std::make_error_code(std::errc::invalid_argument);
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos || colon == 0 || address[colon - 1] == ']') co_return fail(invalid);
    const auto port = socket_address::parse(std::string_view(address).substr(colon)); // ":80" is any host
    if (!port) co_return fail(invalid);
    address.resize(colon);
    auto known = co_await resolve(std::move(address), port->port());
    if (!known) co_return fail(known.error());
    std::error_code why;
    for (const socket_address& to : *known) {
        auto stream = co_await connect_to(to);
        if (stream) co_return stream;
        why = stream.error();
    }
    co_return fail(why);
}

result<socket_address> tcp_stream::local_address() const {
    socket_address a;
    if (::getsockname(native_handle(), a.data(), a.size_to_fill()) < 0) return last_error();
    return a;
}

result<socket_address> tcp_stream::peer_address() const {
    socket_address a;
    if (::getpeername(native_handle(), a.data(), a.size_to_fill()) < 0) return last_error();
    return a;
}

result<void> tcp_stream::set_no_delay(bool on) noexcept {
    const int value = on ? 1 : 0;
    if (::setsockopt(native_handle(), IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)) < 0)
        return last_error();
    return {};
}

result<void> tcp_stream::set_keep_alive(bool on) noexcept {
    const int value = on ? 1 : 0;
    if (::setsockopt(native_handle(), SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)) < 0)
        return last_error();
    return {};
}

tcp_listener::tcp_listener(detail::descriptor fd, const socket_address& address)
    : state_(std::make_unique<detail::listener_state>(std::move(fd))), address_(address) {}

result<tcp_listener> tcp_listener::bind(std::string_view text, const tcp_listen_options& options) {
    auto address = socket_address::parse(text);
    if (!address) return fail(address.error());
    detail::descriptor fd = new_socket(address->family());
    if (!fd) return last_error();
    const int on = 1;
    if (options.reuse_address && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return last_error();
    if (options.reuse_port && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
        return last_error();
    auto listening = detail::listen_on(std::move(fd), *address, options.backlog);
    if (!listening) return fail(listening.error());
    socket_address bound;
    if (::getsockname(listening->get(), bound.data(), bound.size_to_fill()) < 0) return last_error();
    return tcp_listener(std::move(*listening), bound);
}

} // namespace levada
