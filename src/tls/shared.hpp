#pragma once

// What is behind a `tls_context`. It does not change once it is made, so connections on any thread use it.

#include <cstddef>
#include <string>
#include <unordered_map>
#include <vector>

#include "openssl.hpp"

namespace levada::detail {

/// A certificate of a server's that is chosen by name.
struct loaded_certificate {
    loaded_certificate() = default;
    x509_ptr own;
    key_ptr key;
    std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> chain{nullptr, nullptr};
};

struct tls_shared {
    ssl_ctx_ptr context;
    bool server = false;
    std::string alpn; // as on the wire: each protocol after a byte of its length
    std::vector<loaded_certificate> certificates;
    /// Names in small letters, "*.example.org" among them, to places in `certificates`.
    std::unordered_map<std::string, std::vector<std::size_t>> by_name;

    /// The certificates for a host; null if there are none.
    [[nodiscard]] const std::vector<std::size_t>* find(std::string_view host) const;
};

} // namespace levada::detail
