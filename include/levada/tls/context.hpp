#pragma once

// What TLS connections share: certificates, whom to trust, and what is agreed on.

#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/tls/errors.hpp>

namespace levada {
namespace detail {
struct tls_shared;
class tls_connection;
} // namespace detail

// Options hold views: what they refer to has to live until the call that takes them returns.

/// Files in PEM: a chain of certificates, its own first, and the key of that one. A key that is encrypted is
/// an error: nobody is asked for a password.
struct tls_key_pair {
    std::string_view certificate_file;
    std::string_view key_file;
};

struct tls_client_options {
    /// The server's certificate, and that it is the host's.
    bool verify = true;
    /// Whom to trust, in PEM; empty: whom the system trusts.
    std::string_view ca_file = {};
    /// What a server is shown that asks for a certificate; empty: it gets none.
    tls_key_pair certificate = {};
    /// Protocols to offer (ALPN), the one most wanted first, separated by commas: "h2,http/1.1". Empty: none.
    std::string_view alpn = {};
};

/// What a server wants of its clients. A certificate that is shown has to be one that `client_ca_file`
/// vouches for, or the connection is refused.
enum class tls_client_certificate : unsigned char {
    ignored,   ///< it is not asked for
    requested, ///< it is asked for; a client may have none
    required,  ///< a client without one is refused
};

struct tls_server_options {
    /// Certificates beside the first. A client that names a host (SNI) gets those that have this name as a
    /// dNSName in their subjectAltName, itself or by a wildcard for its first label; one that names none, or
    /// another, gets the first. Several for one name have keys of different types.
    std::span<const tls_key_pair> more_certificates = {};
    tls_client_certificate client_certificate = tls_client_certificate::ignored;
    /// Whom to trust with clients, in PEM: wanted if they are asked.
    std::string_view client_ca_file = {};
    /// Protocols to agree on (ALPN), the one most wanted first, separated by commas: "h2,http/1.1". A client
    /// that offers others only is refused; one that offers nothing is served. Empty: offers are ignored.
    std::string_view alpn = {};
};

// g++ 12 destroys a temporary of anything else twice, where it stands in an awaited expression.
static_assert(std::is_trivially_destructible_v<tls_key_pair>);
static_assert(std::is_trivially_destructible_v<tls_client_options>);
static_assert(std::is_trivially_destructible_v<tls_server_options>);

/// What connections share: certificates, and whom to trust. A cheap handle. TLS 1.2 and later, without
/// renegotiation: a peer that asks for it is told so, and the connection goes on. *Threads*: any.
class tls_context {
public:
    /// *Outcomes*: a code of OpenSSL's or the system's, for a file that cannot be read or understood;
    /// `std::errc::invalid_argument` for options that mean nothing: protocols without a name or of more than
    /// 255 bytes, clients asked without a `client_ca_file`. Both read files, and block for that: make them
    /// before there is work. What options refer to is copied.
    [[nodiscard]] static result<tls_context> client(const tls_client_options& options = {});
    [[nodiscard]] static result<tls_context> server(std::string_view certificate_file,
                                                    std::string_view key_file,
                                                    const tls_server_options& options = {});

private:
    friend class detail::tls_connection;
    explicit tls_context(std::shared_ptr<const detail::tls_shared> shared) noexcept
        : shared_(std::move(shared)) {}
    std::shared_ptr<const detail::tls_shared> shared_;
};

} // namespace levada
