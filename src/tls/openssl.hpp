#pragma once

// OpenSSL's codes and objects, in our terms.

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <system_error>

#include <levada/base/result.hpp>

namespace levada::detail {

template <auto F>
struct frees {
    template <class T>
    void operator()(T* p) const noexcept {
        F(p);
    }
};
using ssl_ptr = std::unique_ptr<SSL, frees<&::SSL_free>>;
using ssl_ctx_ptr = std::unique_ptr<SSL_CTX, frees<&::SSL_CTX_free>>;
using bio_ptr = std::unique_ptr<BIO, frees<&::BIO_free>>;
using x509_ptr = std::unique_ptr<X509, frees<&::X509_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, frees<&::EVP_PKEY_free>>;
using general_names_ptr = std::unique_ptr<GENERAL_NAMES, frees<&::GENERAL_NAMES_free>>;

/// Takes the first of this thread's queue of errors, and empties it. Never a code of value 0.
[[nodiscard]] std::error_code take_openssl_error() noexcept;
[[nodiscard]] inline failure openssl_failure() noexcept { return fail(take_openssl_error()); }

/// The alternative names of a certificate; null if it has none.
[[nodiscard]] inline general_names_ptr alternative_names(X509* x) noexcept {
    return general_names_ptr(
        static_cast<GENERAL_NAMES*>(::X509_get_ext_d2i(x, NID_subject_alt_name, nullptr, nullptr)));
}

} // namespace levada::detail
