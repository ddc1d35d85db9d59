#include <levada/tls/certificate.hpp>

#include <array>
#include <ctime>
#include <new>

#include <arpa/inet.h>

#include "openssl.hpp"

namespace levada {
namespace {

using namespace detail;

X509* of(const std::shared_ptr<void>& x509) noexcept { return static_cast<X509*>(x509.get()); }

std::string text_of(const X509_NAME* name) {
    const bio_ptr out(::BIO_new(::BIO_s_mem()));
    if (!out) throw std::bad_alloc();
    ::X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253 & ~unsigned(ASN1_STRFLGS_ESC_MSB));
    std::string text(::BIO_ctrl_pending(out.get()), '\0');
    if (!text.empty()) ::BIO_read(out.get(), text.data(), static_cast<int>(text.size()));
    return text;
}

std::string address_of(const ASN1_OCTET_STRING* bytes) {
    const int length = ::ASN1_STRING_length(bytes);
    if (length != 4 && length != 16) return {};
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(length == 4 ? AF_INET : AF_INET6, ::ASN1_STRING_get0_data(bytes), text.data(), text.size());
    return text.data();
}

std::vector<std::string> names_of(X509* x, int type) {
    std::vector<std::string> all;
    const general_names_ptr names = alternative_names(x);
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != type) continue;
        if (type == GEN_IPADD) {
            all.push_back(address_of(name->d.iPAddress));
        } else {
            const ASN1_STRING* const text = name->d.ia5;
            all.emplace_back(reinterpret_cast<const char*>(::ASN1_STRING_get0_data(text)),
                             static_cast<std::size_t>(::ASN1_STRING_length(text)));
        }
    }
    return all;
}

std::chrono::system_clock::time_point time_of(const ASN1_TIME* t) {
    std::tm parts{};
    if (::ASN1_TIME_to_tm(t, &parts) != 1) return {};
    return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

} // namespace

std::string tls_certificate::subject() const { return text_of(::X509_get_subject_name(of(x509_))); }
std::string tls_certificate::issuer() const { return text_of(::X509_get_issuer_name(of(x509_))); }
std::vector<std::string> tls_certificate::dns_names() const { return names_of(of(x509_), GEN_DNS); }
std::vector<std::string> tls_certificate::ip_addresses() const { return names_of(of(x509_), GEN_IPADD); }
std::vector<std::string> tls_certificate::uris() const { return names_of(of(x509_), GEN_URI); }

std::chrono::system_clock::time_point tls_certificate::not_before() const {
    return time_of(::X509_get0_notBefore(of(x509_)));
}
std::chrono::system_clock::time_point tls_certificate::not_after() const {
    return time_of(::X509_get0_notAfter(of(x509_)));
}

std::vector<std::byte> tls_certificate::der() const {
    const int length = ::i2d_X509(of(x509_), nullptr);
    if (length <= 0) throw std::bad_alloc();
    std::vector<std::byte> bytes(static_cast<std::size_t>(length));
    auto* to = reinterpret_cast<unsigned char*>(bytes.data());
    ::i2d_X509(of(x509_), &to);
    return bytes;
}

std::string tls_certificate::fingerprint() const {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (::X509_digest(of(x509_), ::EVP_sha256(), digest.data(), &length) != 1) throw std::bad_alloc();
    std::string text;
    for (unsigned i = 0; i < length; ++i) {
        text += "0123456789abcdef"[digest[i] >> 4];
        text += "0123456789abcdef"[digest[i] & 15];
    }
    return text;
}

bool tls_certificate::equals(const tls_certificate& other) const {
    return ::X509_cmp(of(x509_), of(other.x509_)) == 0;
}

} // namespace levada
