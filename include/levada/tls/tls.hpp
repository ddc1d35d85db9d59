#pragma once

// TLS over any connection: an optional part, a library of its own (liblevada-tls, pkg-config levada-tls), on
// OpenSSL.

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <levada/io/tcp.hpp>
#include <levada/task/task.hpp>
#include <levada/tls/certificate.hpp>
#include <levada/tls/context.hpp>
#include <levada/tls/errors.hpp>

namespace levada {

/// A TLS connection. Move-only; closed with its owner. One task may read and another write at the same time,
/// on any loops; it must outlive their operations, and may be moved meanwhile. A read waits only for bytes of
/// the peer, and a write only for room. Reads and writes are tasks, and so no arms of select: `spawn` them,
/// or give them a limit by `with_timeout(d, [&] { return s.read(buffer); })`.
class tls_stream {
public:
    /// Connects to "host:port", and agrees with the server, whose certificate has to be the host's: by its
    /// subjectAltName only. *Outcomes*: as of `tcp_stream::connect`; `std::errc::invalid_argument` for a host
    /// that is empty, begins with a dot, or has a star in it; a code of `certificate_category()` or
    /// `tls_category()`; `std::errc::connection_aborted` if the server hangs up; `std::errc::protocol_error`,
    /// or OpenSSL's code, if it chooses a protocol that was not offered. With TLS 1.3 it is the first read
    /// that fails if the server refuses the client's certificate. *Cancel*: the connection is closed.
    [[nodiscard]] static task<result<tls_stream>> connect(tls_context context, std::string address);
    /// The same over a connection that is there; `host`: whose certificate is wanted, a name or an address.
    [[nodiscard]] static task<result<tls_stream>> connect(tls_context context, tcp_stream socket,
                                                          std::string host);
    /// The server's side.
    [[nodiscard]] static task<result<tls_stream>> accept(tls_context context, tcp_stream socket);
    ~tls_stream();
    tls_stream(tls_stream&&) noexcept;
    tls_stream& operator=(tls_stream&&) noexcept;

    /// Reads at least one byte; 0 when the peer has ended its side. *Suspends* until there is one, whatever
    /// is written meanwhile. *Outcomes*: the count; `std::errc::connection_aborted` if the connection ended
    /// without that: something may be missing; the socket's code; OpenSSL's; `std::errc::no_buffer_space` for
    /// a peer that has us answer and does not read the answers. *Cancel*: nothing is lost, and the connection
    /// stays as it was.
    [[nodiscard]] task<result<std::size_t>> read(std::span<std::byte> to);
    [[nodiscard]] task<result<std::size_t>> read(std::span<char> to) {
        return read(std::as_writable_bytes(to));
    }
    /// Writes all of the bytes. *Suspends* until the system has taken them. *Outcomes*: the count; the
    /// socket's code; OpenSSL's. *Cancel*: one that has begun marks the stream cut: some of it may have been
    /// sent, and writes and `shutdown_write` fail with `EPIPE` from then on, as they do after an error. Reads
    /// go on.
    [[nodiscard]] task<result<std::size_t>> write_all(std::span<const std::byte> from);
    [[nodiscard]] task<result<std::size_t>> write_all(std::string_view from) {
        return write_all(std::as_bytes(std::span<const char>(from.data(), from.size())));
    }
    /// As `write_all`.
    template <class Bytes>
    [[nodiscard]] task<result<std::size_t>> write(const Bytes& from) {
        return write_all(from);
    }
    /// Ends the stream for the peer's reads, who can tell it from a cut; ours go on. Writes fail with `EPIPE`
    /// from then on. *Outcomes*: `result<void>`; `EPIPE` after a write that was cut short: the peer is not
    /// told that it has all. *Cancel*: may be called again.
    [[nodiscard]] task<result<void>> shutdown_write();
    /// Closes the socket now. Nothing may read or write meanwhile.
    [[nodiscard]] detail::close_op close() noexcept;

    [[nodiscard]] tcp_stream& socket() noexcept;
    /// "TLSv1.3"
    [[nodiscard]] std::string version() const;
    /// The protocol that was agreed on (ALPN); empty if none was.
    [[nodiscard]] std::string alpn() const;
    /// The host that the client has named (SNI); empty if it named none.
    [[nodiscard]] std::string server_name() const;
    /// The certificate that the peer has shown. None: a client that has none, or was not asked. A server's is
    /// verified unless `tls_client_options::verify` is false; a client's always is.
    [[nodiscard]] std::optional<tls_certificate> peer_certificate() const;

private:
    explicit tls_stream(std::unique_ptr<detail::tls_connection> connection) noexcept;
    [[nodiscard]] static task<result<tls_stream>> agree(std::unique_ptr<detail::tls_connection> connection);
    std::unique_ptr<detail::tls_connection> connection_;
};

} // namespace levada
