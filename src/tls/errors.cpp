#include <levada/tls/errors.hpp>

#include <openssl/err.h>

#include <string>

#include "openssl.hpp"

namespace levada {
namespace {

class openssl_category final : public std::error_category {
public:
    const char* name() const noexcept override { return "tls"; }
    std::string message(int code) const override {
        // Kept as the library's and the reason's number: all of it does not fit into an int.
        const char* const text =
            ::ERR_reason_error_string(static_cast<unsigned long>(static_cast<unsigned>(code)));
        return text ? text : "error " + std::to_string(code);
    }
};
class x509_category final : public std::error_category {
public:
    const char* name() const noexcept override { return "certificate"; }
    std::string message(int code) const override { return ::X509_verify_cert_error_string(code); }
};

} // namespace

const std::error_category& tls_category() noexcept {
    static const openssl_category all;
    return all;
}
const std::error_category& certificate_category() noexcept {
    static const x509_category all;
    return all;
}

std::error_code detail::take_openssl_error() noexcept {
    const unsigned long code = ::ERR_get_error();
    ::ERR_clear_error();
    if (static_cast<int>(code) == 0) return std::make_error_code(std::errc::io_error);
    if (ERR_SYSTEM_ERROR(code)) return {static_cast<int>(code & 0xff), std::system_category()};
    return {static_cast<int>(code), tls_category()};
}

} // namespace levada
