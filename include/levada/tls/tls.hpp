#pragma once

// TLS over any connection: an optional part, a library of its own (liblevada-tls, pkg-config levada-tls), on
// OpenSSL.

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <levada/core/task.hpp>
#include <levada/io/tcp.hpp>

namespace levada {

/// Of OpenSSL's codes.
[[nodiscard]] const std::error_category& tls_category() noexcept;
/// Of the codes for certificates that were not accepted (X509_V_ERR_...).
[[nodiscard]] const std::error_category& certificate_category() noexcept;

struct tls_client_options {
    bool verify = true;       ///< the server's certificate, and that it is the host's
    std::string ca_file = {}; ///< whom to trust, in PEM; empty: whom the system trusts
};

/// What connections share: certificates, and whom to trust. A cheap handle. TLS 1.2 and later. *Threads*:
/// any.
class tls_context {
public:
    /// *Outcomes*: a code of OpenSSL's, for a file that cannot be read or understood. Both read files, and
    /// block for that: make them before there is work.
    [[nodiscard]] static result<tls_context> client(const tls_client_options& options = {});
    /// A chain of certificates and its key, in PEM.
    [[nodiscard]] static result<tls_context> server(const std::string& certificate_file,
                                                    const std::string& key_file);

private:
    friend class tls_stream;
    explicit tls_context(std::shared_ptr<void> context) noexcept : context_(std::move(context)) {}
    std::shared_ptr<void> context_; // SSL_CTX
};

/// A TLS connection. Move-only; closed with its owner. One task may read and another write at the same time;
/// it must outlive their operations. Reads and writes are tasks, and so no arms of select: `spawn` them, or
/// give them a limit by `with_timeout(d, [&] { return s.read(buffer); })`.
class tls_stream {
public:
    /// Connects to "host:port", and agrees with the server, whose certificate has to be the host's.
    /// *Outcomes*: as of `tcp_stream::connect`; a code of `certificate_category()` or `tls_category()`.
    /// *Cancel*: the connection is closed.
    [[nodiscard]] static task<result<tls_stream>> connect(tls_context context, std::string address);
    /// The same over a connection that is there; `host`: whose certificate is wanted.
    [[nodiscard]] static task<result<tls_stream>> connect(tls_context context, tcp_stream socket,
                                                          std::string host);
    /// The server's side.
    [[nodiscard]] static task<result<tls_stream>> accept(tls_context context, tcp_stream socket);
    ~tls_stream();
    tls_stream(tls_stream&&) noexcept;
    tls_stream& operator=(tls_stream&&) noexcept;

    /// Reads at least one byte; 0 when the peer has ended its side. *Outcomes*: the count; `ECONNABORTED` if
    /// the connection ended without that: something may be missing; the socket's code; OpenSSL's. *Cancel*:
    /// nothing is lost.
    [[nodiscard]] task<result<std::size_t>> read(std::span<std::byte> to);
    [[nodiscard]] task<result<std::size_t>> read(std::span<char> to) {
        return read(std::as_writable_bytes(to));
    }
    /// Writes all of the bytes. *Outcomes*: the count; the socket's code; OpenSSL's. *Cancel*: some of it may
    /// have been sent, or will be by the next write: after that the stream is good for closing only.
    [[nodiscard]] task<result<std::size_t>> write_all(std::span<const std::byte> from);
    [[nodiscard]] task<result<std::size_t>> write_all(std::string_view from) {
        return write_all(std::as_bytes(std::span<const char>(from.data(), from.size())));
    }
    /// As `write_all`.
    template <class Bytes>
    [[nodiscard]] task<result<std::size_t>> write(const Bytes& from) {
        return write_all(from);
    }
    /// Ends the stream for the peer's reads, who can tell it from a cut; ours go on.
    [[nodiscard]] task<result<void>> shutdown_write();
    /// Closes the socket now. Nothing may read or write meanwhile.
    [[nodiscard]] detail::close_op close() noexcept;

    [[nodiscard]] tcp_stream& socket() noexcept;
    /// "TLSv1.3"
    [[nodiscard]] std::string version() const;

private:
    struct state;
    explicit tls_stream(std::unique_ptr<state> s) noexcept;
    [[nodiscard]] static task<result<tls_stream>> agree(std::unique_ptr<state> s);
    std::unique_ptr<state> state_;
};

} // namespace levada
