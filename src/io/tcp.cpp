#include <levada/io/tcp.hpp>

#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include <levada/detail/io/connect_op.hpp>
#include <levada/io/resolve.hpp>

#include "../loop/above_standard.hpp"

namespace levada {

using detail::last_error;
using namespace std::chrono_literals;

namespace {

/// A new socket with TCP_NODELAY, which a listener hands on to what it accepts.
descriptor new_socket(int family) noexcept {
    descriptor fd(detail::above_standard(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    const int on = 1;
    if (fd) (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

result<void> keep_alive(int socket, std::chrono::seconds gone_after) noexcept {
    constexpr auto longest = 32'767s * 2; // that the system takes
    if (gone_after < 2s || gone_after > longest)
        return fail(std::make_error_code(std::errc::invalid_argument));
    const int all = static_cast<int>(gone_after.count());
    const int silent = all / 2, between = std::max(1, all / 6), questions = (all - silent) / between;
    const auto have = [socket](int level, int name, int value) {
        return ::setsockopt(socket, level, name, &value, sizeof(value)) == 0;
    };
    if (have(IPPROTO_TCP, TCP_KEEPIDLE, silent) && have(IPPROTO_TCP, TCP_KEEPINTVL, between) &&
        have(IPPROTO_TCP, TCP_KEEPCNT, questions) && have(SOL_SOCKET, SO_KEEPALIVE, 1))
        return {};
    return last_error();
}

task<result<tcp_stream>> connect_to(socket_address to) {
    descriptor fd = new_socket(to.family());
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

result<void> tcp_stream::set_keep_alive(std::chrono::seconds gone_after) noexcept {
    return keep_alive(native_handle(), gone_after);
}

detail::close_op tcp_stream::reset() noexcept {
    const ::linger no_time{1, 0};
    // It fails where there is no socket, as the close then tells.
    (void)::setsockopt(native_handle(), SOL_SOCKET, SO_LINGER, &no_time, sizeof(no_time));
    return close();
}

tcp_listener::tcp_listener(descriptor fd, const socket_address& address, bool ahead)
    : state_(std::make_unique<detail::listener_state>(std::move(fd), ahead)), address_(address) {}

result<tcp_listener> tcp_listener::bind(std::string_view text, const tcp_listen_options& options) {
    auto address = socket_address::parse(text);
    if (!address) return fail(address.error());
    descriptor fd = new_socket(address->family());
    if (!fd) return last_error();
    const int on = 1;
    if (options.reuse_address && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return last_error();
    if (options.reuse_port && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
        return last_error();
    if (options.keep_alive != 0s)
        if (auto kept = keep_alive(fd.get(), options.keep_alive); !kept) return fail(kept.error());
    auto listening = detail::listen_on(std::move(fd), *address, options.backlog);
    if (!listening) return fail(listening.error());
    socket_address bound;
    if (::getsockname(listening->get(), bound.data(), bound.size_to_fill()) < 0) return last_error();
    return tcp_listener(std::move(*listening), bound, options.accept_ahead);
}

} // namespace levada
