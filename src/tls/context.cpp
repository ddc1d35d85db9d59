#include <levada/tls/context.hpp>

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <new>

#include "shared.hpp"

namespace levada {
namespace detail {
namespace {

std::string in_small_letters(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

failure invalid() noexcept { return fail(std::make_error_code(std::errc::invalid_argument)); }

/// Nobody is asked for the password of a key.
int no_password(char*, int, int, void*) noexcept { return -1; }

result<ssl_ctx_ptr> new_context(const SSL_METHOD* method) {
    ::ERR_clear_error();
    ssl_ctx_ptr made(::SSL_CTX_new(method));
    if (!made || ::SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION) != 1) return openssl_failure();
    ::SSL_CTX_set_options(made.get(), SSL_OP_NO_RENEGOTIATION);
    ::SSL_CTX_set_mode(made.get(), SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    ::SSL_CTX_set_default_passwd_cb(made.get(), &no_password);
    return made;
}

/// "h2,http/1.1" as on the wire.
result<std::string> alpn_on_the_wire(std::string_view protocols) {
    std::string wire;
    while (!protocols.empty()) {
        const std::size_t comma = protocols.find(',');
        const std::string_view one = protocols.substr(0, comma);
        if (one.empty() || one.size() > 255 || comma + 1 == protocols.size()) return invalid();
        wire += static_cast<char>(one.size());
        wire += one;
        protocols.remove_prefix(comma == std::string_view::npos ? protocols.size() : comma + 1);
    }
    if (wire.size() > 0xffff) return invalid();
    return wire;
}

const unsigned char* bytes_of(const std::string& s) noexcept {
    return reinterpret_cast<const unsigned char*>(s.data());
}

result<void> use_key_pair(SSL_CTX* context, const tls_key_pair& files) {
    const std::string certificate(files.certificate_file), key(files.key_file);
    if (::SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1 ||
        ::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1 ||
        ::SSL_CTX_check_private_key(context) != 1)
        return openssl_failure();
    return {};
}

/// OpenSSL reads a chain from a file for a context only: one that is there for this alone.
result<loaded_certificate> load(const tls_key_pair& files) {
    auto context = new_context(::TLS_server_method());
    if (!context) return fail(context.error());
    const auto used = use_key_pair(context->get(), files);
    if (!used) return fail(used.error());
    loaded_certificate loaded;
    loaded.own.reset(::SSL_CTX_get0_certificate(context->get()));
    ::X509_up_ref(loaded.own.get());
    loaded.key.reset(::SSL_CTX_get0_privatekey(context->get()));
    ::EVP_PKEY_up_ref(loaded.key.get());
    STACK_OF(X509)* chain = nullptr;
    ::SSL_CTX_ctrl(context->get(), SSL_CTRL_GET_CHAIN_CERTS, 0, &chain); // its macro has an old cast
    loaded.chain = {chain ? ::X509_chain_up_ref(chain) : nullptr,
                    [](STACK_OF(X509) * all) { sk_X509_pop_free(all, &::X509_free); }};
    return loaded;
}

void learn_names(tls_shared& shared, std::size_t place) {
    const general_names_ptr names = alternative_names(shared.certificates[place].own.get());
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type != GEN_DNS) continue;
        const std::string_view text(reinterpret_cast<const char*>(::ASN1_STRING_get0_data(name->d.dNSName)),
                                    static_cast<std::size_t>(::ASN1_STRING_length(name->d.dNSName)));
        auto& places = shared.by_name[in_small_letters(text)];
        if (places.empty() || places.back() != place) places.push_back(place);
    }
}

result<void> load_by_name(tls_shared& shared, const tls_key_pair& first, std::span<const tls_key_pair> more) {
    for (std::size_t i = 0; i <= more.size(); ++i) {
        auto loaded = load(i == 0 ? first : more[i - 1]);
        if (!loaded) return fail(loaded.error());
        shared.certificates.push_back(std::move(*loaded));
        learn_names(shared, i);
    }
    return {};
}

int choose_certificate(SSL* ssl, int*, void* from) noexcept {
    const auto& shared = *static_cast<const tls_shared*>(from);
    const char* const host = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    try {
        const auto* const places = host ? shared.find(host) : nullptr;
        if (!places) return SSL_TLSEXT_ERR_NOACK;
        ::SSL_certs_clear(ssl);
        for (const std::size_t place : *places) {
            const loaded_certificate& c = shared.certificates[place];
            constexpr int instead = 0; // the first of each type of key
            if (::SSL_use_cert_and_key(ssl, c.own.get(), c.key.get(), c.chain.get(), instead) != 1)
                ::ERR_clear_error();
        }
    } catch (...) { // no memory
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return SSL_TLSEXT_ERR_OK;
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* length, const unsigned char* offered,
                    unsigned offered_length, void* from) noexcept {
    const auto& shared = *static_cast<const tls_shared*>(from);
    unsigned char* chosen = nullptr;
    if (::SSL_select_next_proto(&chosen, length, bytes_of(shared.alpn),
                                static_cast<unsigned>(shared.alpn.size()), offered,
                                offered_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

result<void> ask_clients(SSL_CTX* context, const tls_server_options& options) {
    if (options.client_certificate == tls_client_certificate::ignored) return {};
    if (options.client_ca_file.empty()) return invalid();
    const std::string file(options.client_ca_file);
    if (::SSL_CTX_load_verify_locations(context, file.c_str(), nullptr) != 1) return openssl_failure();
    STACK_OF(X509_NAME)* const names = ::SSL_load_client_CA_file(file.c_str());
    if (!names) return openssl_failure();
    ::SSL_CTX_set_client_CA_list(context, names);
    const bool required = options.client_certificate == tls_client_certificate::required;
    ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                         nullptr);
    return {};
}

} // namespace

const std::vector<std::size_t>* tls_shared::find(std::string_view host) const {
    std::string name = in_small_letters(host);
    auto found = by_name.find(name);
    if (found == by_name.end()) {
        const std::size_t dot = name.find('.');
        if (dot == 0 || dot == std::string::npos) return nullptr;
        found = by_name.find(name.replace(0, dot, "*"));
    }
    return found == by_name.end() ? nullptr : &found->second;
}

} // namespace detail

using namespace detail;

result<tls_context> tls_context::client(const tls_client_options& options) {
    auto context = new_context(::TLS_client_method());
    if (!context) return fail(context.error());
    SSL_CTX* const c = context->get();
    ::SSL_CTX_set_verify(c, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    const std::string trusted(options.ca_file);
    const int known = trusted.empty() ? ::SSL_CTX_set_default_verify_paths(c)
                                      : ::SSL_CTX_load_verify_locations(c, trusted.c_str(), nullptr);
    if (options.verify && known != 1) return openssl_failure();
    ::ERR_clear_error();
    if (!options.certificate.certificate_file.empty() || !options.certificate.key_file.empty()) {
        const auto used = use_key_pair(c, options.certificate);
        if (!used) return fail(used.error());
    }
    const auto shared = std::make_shared<tls_shared>();
    auto alpn = alpn_on_the_wire(options.alpn);
    if (!alpn) return fail(alpn.error());
    shared->alpn = std::move(*alpn);
    if (!shared->alpn.empty() && // 0 is success
        ::SSL_CTX_set_alpn_protos(c, bytes_of(shared->alpn), static_cast<unsigned>(shared->alpn.size())) != 0)
        return openssl_failure();
    shared->context = std::move(*context);
    return tls_context(shared);
}

result<tls_context> tls_context::server(std::string_view certificate_file, std::string_view key_file,
                                        const tls_server_options& options) {
    auto context = new_context(::TLS_server_method());
    if (!context) return fail(context.error());
    SSL_CTX* const c = context->get();
    const auto shared = std::make_shared<tls_shared>();
    shared->server = true;
    const auto used = use_key_pair(c, {certificate_file, key_file});
    if (!used) return fail(used.error());
    // A session is resumed by clients that were asked for a certificate only if its context has a name.
    constexpr unsigned char name[] = {'l', 'e', 'v', 'a', 'd', 'a'};
    ::SSL_CTX_set_session_id_context(c, name, sizeof name);
    const auto asked = ask_clients(c, options);
    if (!asked) return fail(asked.error());

    if (!options.more_certificates.empty()) {
        auto loaded = load_by_name(*shared, {certificate_file, key_file}, options.more_certificates);
        if (!loaded) return fail(loaded.error());
        // The macros for these have old casts.
        ::SSL_CTX_callback_ctrl(c, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                                reinterpret_cast<void (*)()>(&choose_certificate));
        ::SSL_CTX_ctrl(c, SSL_CTRL_SET_TLSEXT_SERVERNAME_ARG, 0, shared.get());
    }
    auto alpn = alpn_on_the_wire(options.alpn);
    if (!alpn) return fail(alpn.error());
    shared->alpn = std::move(*alpn);
    if (!shared->alpn.empty()) ::SSL_CTX_set_alpn_select_cb(c, &choose_protocol, shared.get());
    shared->context = std::move(*context);
    return tls_context(shared);
}

} // namespace levada
