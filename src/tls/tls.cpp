#include <levada/tls/tls.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include <levada/sync/mutex.hpp>

// OpenSSL reads from one buffer in memory and writes to another; tasks carry the bytes to and from the
// socket.
//
// Invariants:
// 1. The SSL object, and both buffers, are used under `guard`, which is never held across an await.
// 2. What OpenSSL has written goes to the socket in that order: whoever carries it holds `carrying` from when
// it
//    takes the bytes to when they are written. Bytes whose write was withdrawn stay in `pending`, and go
//    first.
// 3. One task reads the socket at a time: the reader, or before there is one, the one that agrees.

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

failure openssl_error() noexcept {
    const unsigned long code = ::ERR_get_error();
    ::ERR_clear_error();
    if (ERR_SYSTEM_ERROR(code))
        return fail(std::error_code(static_cast<int>(code & 0xff), std::system_category()));
    return fail(std::error_code(static_cast<int>(code), tls_category()));
}

} // namespace

const std::error_category& tls_category() noexcept {
    static const openssl_category all;
    return all;
}
const std::error_category& certificate_category() noexcept {
    static const x509_category all;
    return all;
}

result<tls_context> tls_context::client(const tls_client_options& options) {
    ::ERR_clear_error();
    std::shared_ptr<SSL_CTX> made(::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
    if (!made || ::SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION) != 1) return openssl_error();
    ::SSL_CTX_set_verify(made.get(), options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    const int known = options.ca_file.empty()
                          ? ::SSL_CTX_set_default_verify_paths(made.get())
                          : ::SSL_CTX_load_verify_locations(made.get(), options.ca_file.c_str(), nullptr);
    if (options.verify && known != 1) return openssl_error();
    return tls_context(std::move(made));
}

result<tls_context> tls_context::server(const std::string& certificate_file, const std::string& key_file) {
    ::ERR_clear_error();
    std::shared_ptr<SSL_CTX> made(::SSL_CTX_new(::TLS_server_method()), &::SSL_CTX_free);
    if (!made || ::SSL_CTX_set_min_proto_version(made.get(), TLS1_2_VERSION) != 1 ||
        ::SSL_CTX_use_certificate_chain_file(made.get(), certificate_file.c_str()) != 1 ||
        ::SSL_CTX_use_PrivateKey_file(made.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
        ::SSL_CTX_check_private_key(made.get()) != 1)
        return openssl_error();
    return tls_context(std::move(made));
}

struct tls_stream::state {
    state(std::shared_ptr<void> c, tcp_stream s)
        : context(std::move(c)),
          socket(std::move(s)),
          ssl(::SSL_new(static_cast<SSL_CTX*>(context.get()))),
          incoming(::BIO_new(::BIO_s_mem())),
          outgoing(::BIO_new(::BIO_s_mem())) {
        if (!ssl || !incoming || !outgoing) throw std::bad_alloc();
        ::BIO_set_mem_eof_return(incoming, -1); // empty is not the end
        ::SSL_set_bio(ssl, incoming, outgoing);
    }
    ~state() { ::SSL_free(ssl); }
    state(const state&) = delete;
    state& operator=(const state&) = delete;

    /// What became of a call of OpenSSL's.
    struct step {
        int error = SSL_ERROR_NONE; // SSL_ERROR_...
        std::size_t count = 0;
        std::error_code why;
    };
    template <class F>
    step call(const F& f) {
        const std::lock_guard held(guard);
        ::ERR_clear_error();
        step s;
        const int r = f(ssl, s.count);
        s.error = r > 0 ? SSL_ERROR_NONE : ::SSL_get_error(ssl, r);
        if (s.error == SSL_ERROR_SSL || s.error == SSL_ERROR_SYSCALL) s.why = failure_code();
        return s;
    }
    [[nodiscard]] std::error_code failure_code() {
        const long verified = ::SSL_get_verify_result(ssl);
        if (verified != X509_V_OK && (::SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0 &&
            !::SSL_is_server(ssl)) {
            ::ERR_clear_error();
            return {static_cast<int>(verified), certificate_category()};
        }
        const result<void> failed = openssl_error();
        return failed.error();
    }
    [[nodiscard]] bool anything_to_carry() {
        const std::lock_guard held(guard);
        return ::BIO_ctrl_pending(outgoing) != 0 || !pending.empty();
    }

    /// Carries what OpenSSL has written to the socket.
    task<result<void>> carry() {
        if (!anything_to_carry()) co_return result<void>();
        auto turn = co_await carrying.lock();
        for (;;) {
            {
                const std::lock_guard held(guard);
                const std::size_t more = ::BIO_ctrl_pending(outgoing);
                const std::size_t before = pending.size();
                pending.resize(before + more);
                std::size_t taken = 0;
                if (more != 0) ::BIO_read_ex(outgoing, pending.data() + before, more, &taken);
                pending.resize(before + taken);
            }
            if (pending.empty()) co_return result<void>();
            auto written = co_await socket.write_all(std::span<const std::byte>(pending));
            if (!written) co_return fail(written.error());
            pending.clear();
        }
    }
    /// Gets bytes from the socket for OpenSSL; false at its end.
    task<result<bool>> fetch() {
        auto arrived = co_await socket.receive();
        if (!arrived && arrived.error() == errc::closed) co_return false;
        if (!arrived) co_return fail(arrived.error());
        const std::lock_guard held(guard);
        ::BIO_write(incoming, arrived->bytes().data(), static_cast<int>(arrived->size()));
        co_return true;
    }

    std::shared_ptr<void> context;
    tcp_stream socket;
    std::mutex guard;
    SSL* ssl;
    BIO* incoming;
    BIO* outgoing;
    mutex carrying;
    std::vector<std::byte> pending; // guarded by `carrying`; looked at under `guard` too
};

tls_stream::tls_stream(std::unique_ptr<state> s) noexcept : state_(std::move(s)) {}
tls_stream::~tls_stream() = default;
tls_stream::tls_stream(tls_stream&&) noexcept = default;
tls_stream& tls_stream::operator=(tls_stream&&) noexcept = default;

task<result<tls_stream>> tls_stream::agree(std::unique_ptr<state> s) {
    for (;;) {
        const state::step done = s->call([](SSL* ssl, std::size_t&) { return ::SSL_do_handshake(ssl); });
        auto carried = co_await s->carry(); // an alert too
        if (done.error == SSL_ERROR_NONE) {
            if (!carried) co_return fail(carried.error());
            co_return tls_stream(std::move(s));
        }
        if (done.error != SSL_ERROR_WANT_READ) co_return fail(done.why);
        if (!carried) co_return fail(carried.error());
        auto more = co_await s->fetch();
        if (!more) co_return fail(more.error());
        if (!*more) co_return fail(std::make_error_code(std::errc::connection_aborted));
    }
}

task<result<tls_stream>> tls_stream::connect(tls_context context, tcp_stream socket, std::string host) {
    auto s = std::make_unique<state>(std::move(context.context_), std::move(socket));
    const bool number =
        socket_address::parse(host.find(':') == std::string::npos ? host + ":0" : "[" + host + "]:0")
            .has_value() &&
        host != "localhost";
    ::SSL_set_connect_state(s->ssl);
    ::SSL_set_hostflags(s->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const int named = number ? ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(s->ssl), host.c_str())
                             : ::SSL_set1_host(s->ssl, host.c_str());
    if (named != 1) co_return fail(std::make_error_code(std::errc::invalid_argument));
    if (!number) // the macro for it has an old cast
        ::SSL_ctrl(s->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data());
    co_return co_await agree(std::move(s));
}

task<result<tls_stream>> tls_stream::connect(tls_context context, std::string address) {
    std::string host = address.substr(0, address.rfind(':'));
    if (host.size() >= 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    auto socket = co_await tcp_stream::connect(std::move(address));
    if (!socket) co_return fail(socket.error());
    co_return co_await connect(std::move(context), std::move(*socket), std::move(host));
}

task<result<tls_stream>> tls_stream::accept(tls_context context, tcp_stream socket) {
    auto s = std::make_unique<state>(std::move(context.context_), std::move(socket));
    ::SSL_set_accept_state(s->ssl);
    co_return co_await agree(std::move(s));
}

task<result<std::size_t>> tls_stream::read(std::span<std::byte> to) {
    if (to.empty()) co_return std::size_t(0);
    for (;;) {
        const state::step got = state_->call(
            [to](SSL* ssl, std::size_t& n) { return ::SSL_read_ex(ssl, to.data(), to.size(), &n); });
        if (got.error == SSL_ERROR_NONE) co_return got.count;
        if (got.error == SSL_ERROR_ZERO_RETURN) co_return std::size_t(0);
        auto carried = co_await state_->carry(); // a new key, say, or an alert
        if (got.error != SSL_ERROR_WANT_READ) co_return fail(got.why);
        if (!carried) co_return fail(carried.error());
        auto more = co_await state_->fetch();
        if (!more) co_return fail(more.error());
        if (!*more) co_return fail(std::make_error_code(std::errc::connection_aborted));
    }
}

task<result<std::size_t>> tls_stream::write_all(std::span<const std::byte> from) {
    constexpr std::size_t most = 256 * 1024; // in memory at once
    std::size_t written = 0;
    while (written < from.size()) {
        const auto next = from.subspan(written, std::min(most, from.size() - written));
        const state::step put = state_->call(
            [next](SSL* ssl, std::size_t& n) { return ::SSL_write_ex(ssl, next.data(), next.size(), &n); });
        auto carried = co_await state_->carry();
        if (put.error == SSL_ERROR_SSL || put.error == SSL_ERROR_SYSCALL) co_return fail(put.why);
        if (put.error != SSL_ERROR_NONE) co_return fail(std::make_error_code(std::errc::broken_pipe));
        if (!carried) co_return fail(carried.error());
        written += put.count;
    }
    co_return written;
}

task<result<void>> tls_stream::shutdown_write() {
    const state::step done =
        state_->call([](SSL* ssl, std::size_t&) { return ::SSL_shutdown(ssl) >= 0 ? 1 : -1; });
    auto carried = co_await state_->carry();
    if (done.error == SSL_ERROR_SSL || done.error == SSL_ERROR_SYSCALL) co_return fail(done.why);
    if (!carried) co_return fail(carried.error());
    co_return co_await state_->socket.shutdown_write();
}

detail::close_op tls_stream::close() noexcept { return state_->socket.close(); }
tcp_stream& tls_stream::socket() noexcept { return state_->socket; }
std::string tls_stream::version() const { return ::SSL_get_version(state_->ssl); }

} // namespace levada
