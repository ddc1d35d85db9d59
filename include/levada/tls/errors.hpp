#pragma once

// The categories of the codes that TLS fails with.

#include <system_error>

namespace levada {

/// Of OpenSSL's codes.
[[nodiscard]] const std::error_category& tls_category() noexcept;
/// Of the codes for certificates that were not accepted (X509_V_ERR_...).
[[nodiscard]] const std::error_category& certificate_category() noexcept;

} // namespace levada
