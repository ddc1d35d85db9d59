#pragma once

// A certificate, as a peer has shown it.

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace levada {

/// A certificate. A cheap handle that nothing changes; it may outlive its connection. It says what the peer
/// has shown: whether that was verified is up to the options of the context. *Threads*: any.
class tls_certificate {
public:
    /// Whose it is, as of RFC 2253: "CN=example.org,O=Example". Bytes that do not print are escaped; letters
    /// are UTF-8.
    [[nodiscard]] std::string subject() const;
    /// Who vouches for it, in the same form.
    [[nodiscard]] std::string issuer() const;
    /// The names of hosts in its subjectAltName, as they stand there: wildcards too.
    [[nodiscard]] std::vector<std::string> dns_names() const;
    /// The addresses there: "192.0.2.1", "2001:db8::1".
    [[nodiscard]] std::vector<std::string> ip_addresses() const;
    /// The URIs there.
    [[nodiscard]] std::vector<std::string> uris() const;
    [[nodiscard]] std::chrono::system_clock::time_point not_before() const;
    [[nodiscard]] std::chrono::system_clock::time_point not_after() const;
    /// All of it, in DER.
    [[nodiscard]] std::vector<std::byte> der() const;
    /// SHA-256 of `der()`, as 64 hexadecimal digits in small letters.
    [[nodiscard]] std::string fingerprint() const;

    /// Whether both are the same to the byte.
    [[nodiscard]] friend bool operator==(const tls_certificate& a, const tls_certificate& b) {
        return a.equals(b);
    }

private:
    friend class tls_stream;
    explicit tls_certificate(std::shared_ptr<void> x509) noexcept : x509_(std::move(x509)) {}
    [[nodiscard]] bool equals(const tls_certificate& other) const;
    std::shared_ptr<void> x509_; // X509
};

} // namespace levada
