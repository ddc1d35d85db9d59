#include <levada/tls/tls.hpp>

#include <utility>

#include "connection.hpp"

namespace levada {

using detail::tls_connection;

tls_stream::tls_stream(std::unique_ptr<tls_connection> connection) noexcept
    : connection_(std::move(connection)) {}
tls_stream::~tls_stream() = default;
tls_stream::tls_stream(tls_stream&&) noexcept = default;
tls_stream& tls_stream::operator=(tls_stream&&) noexcept = default;

task<result<tls_stream>> tls_stream::agree(std::unique_ptr<tls_connection> connection) {
    auto agreed = co_await connection->agree();
    if (!agreed) co_return fail(agreed.error());
    co_return tls_stream(std::move(connection));
}

task<result<tls_stream>> tls_stream::connect(tls_context context, tcp_stream socket, std::string host) {
    auto c = std::make_unique<tls_connection>(std::move(context), std::move(socket));
    if (!c->begin_as_client(std::move(host)))
        co_return fail(std::make_error_code(std::errc::invalid_argument));
    co_return co_await agree(std::move(c));
}

task<result<tls_stream>> tls_stream::connect(tls_context context, std::string address) {
    std::string host = address.substr(0, address.rfind(':'));
    if (host.size() >= 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    auto socket = co_await tcp_stream::connect(std::move(address));
    if (!socket) co_return fail(socket.error());
    co_return co_await connect(std::move(context), std::move(*socket), std::move(host));
}

task<result<tls_stream>> tls_stream::accept(tls_context context, tcp_stream socket) {
    auto c = std::make_unique<tls_connection>(std::move(context), std::move(socket));
    if (!c->begin_as_server()) co_return fail(std::make_error_code(std::errc::invalid_argument));
    co_return co_await agree(std::move(c));
}

task<result<std::size_t>> tls_stream::read(std::span<std::byte> to) { return connection_->read(to); }
task<result<std::size_t>> tls_stream::write_all(std::span<const std::byte> from) {
    return connection_->write_all(from);
}
task<result<void>> tls_stream::shutdown_write() { return connection_->shutdown_write(); }
detail::close_op tls_stream::close() noexcept { return connection_->socket().close(); }
tcp_stream& tls_stream::socket() noexcept { return connection_->socket(); }

std::string tls_stream::version() const { return connection_->version(); }
std::string tls_stream::alpn() const { return connection_->alpn(); }
std::string tls_stream::server_name() const { return connection_->server_name(); }

std::optional<tls_certificate> tls_stream::peer_certificate() const {
    detail::x509_ptr x = connection_->peer_certificate();
    if (!x) return std::nullopt;
    return tls_certificate(std::shared_ptr<X509>(std::move(x)));
}

} // namespace levada
