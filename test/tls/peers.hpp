#pragma once

// Certificates for tests, two ends of a TLS connection, and an end that is OpenSSL alone and does what ours
// never does.

#include <io/on_the_loop.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <levada/levada.hpp>
#include <levada/tls/tls.hpp>

namespace tls_test {

using namespace levada;
using test_support::has_room;
using test_support::until_full;

/// A certificate that vouches for itself, made by the openssl program.
class certificate {
public:
    /// `names`: a subjectAltName, or nothing.
    explicit certificate(const std::string& subject = "/CN=localhost",
                         const std::string& names = "DNS:localhost,IP:127.0.0.1",
                         const std::string& more = "-nodes") {
        std::string name = (std::filesystem::temp_directory_path() / "levada_tls_XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()));
        folder_ = name;
        key = folder_ / "key.pem";
        cert = folder_ / "cert.pem";
        std::string make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 2 ";
        make += more + " -keyout " + key + " -out " + cert + " -subj '" + subject + "'";
        if (!names.empty()) make += " -addext 'subjectAltName=" + names + "'";
        make += " 2>/dev/null";
        REQUIRE(std::system(make.c_str()) == 0);
    }
    ~certificate() { std::filesystem::remove_all(folder_); }
    certificate(const certificate&) = delete;
    certificate& operator=(const certificate&) = delete;

    [[nodiscard]] tls_key_pair files() const noexcept { return {cert, key}; }
    [[nodiscard]] tls_context server(const tls_server_options& options = {}) const {
        auto c = tls_context::server(cert, key, options);
        REQUIRE(c);
        return *c;
    }
    /// A client that trusts this one.
    [[nodiscard]] tls_context client(tls_client_options options = {}) const {
        options.ca_file = cert;
        auto c = tls_context::client(options);
        REQUIRE(c);
        return *c;
    }

    std::string key, cert;

private:
    std::filesystem::path folder_;
};

inline const certificate& here() {
    static const certificate made;
    return made;
}

inline const certificate& only_a_common_name() {
    static const certificate made("/CN=localhost", "");
    return made;
}
inline const certificate& named() {
    static const certificate made("/CN=named", "DNS:one.example,DNS:*.two.example");
    return made;
}
inline const certificate& somebody() {
    static const certificate made("/O=Levada/CN=somebody",
                                  "URI:spiffe://levada/somebody,DNS:somebody.example,IP:::1");
    return made;
}
inline const certificate& stranger() {
    static const certificate made("/CN=stranger", "");
    return made;
}

/// Before a loop has a ring, which the openssl program would inherit.
inline void make_certificates() {
    for (auto* make : {&here, &only_a_common_name, &named, &somebody, &stranger})
        static_cast<void>((*make)());
}

template <class F>
void on_the_loop(const F& f) {
    make_certificates();
    test_support::on_the_loop(f);
}

inline void set_buffer(int socket, int which, int bytes) {
    REQUIRE(::setsockopt(socket, SOL_SOCKET, which, &bytes, sizeof bytes) == 0);
}
inline void set_buffers(const tcp_stream& s, int bytes) {
    set_buffer(s.native_handle(), SO_SNDBUF, bytes);
    set_buffer(s.native_handle(), SO_RCVBUF, bytes);
}

/// Fills it with bytes that are no records, and gives how many: the peer has to take them out again.
inline std::size_t fill(const tcp_stream& s) {
    static constexpr std::array<char, 4096> nothing{};
    std::size_t filled = 0;
    const auto send_by = [&](std::size_t size) {
        for (;;) {
            const ssize_t n = ::send(s.native_handle(), nothing.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n <= 0) return;
            filled += std::size_t(n);
        }
    };
    send_by(nothing.size());
    set_buffer(s.native_handle(), SO_SNDBUF, 1); // the system has kept some room for short ones
    send_by(1);
    return filled;
}

struct sockets {
    sockets(tcp_stream a, tcp_stream b) : near(std::move(a)), far(std::move(b)) {}
    tcp_stream near, far;
};

/// `buffer`: the size of what the far one receives into; 0: the system's.
inline task<sockets> connected_sockets(int buffer = 0) {
    auto l = tcp_listener::bind("127.0.0.1:0");
    REQUIRE(l);
    if (buffer != 0) set_buffer(l->native_handle(), SO_RCVBUF, buffer); // what it accepts inherits it
    auto near = co_await tcp_stream::connect(l->local_address().to_string());
    REQUIRE(near);
    auto far = co_await l->accept();
    REQUIRE(far);
    co_return sockets(std::move(*near), std::move(*far));
}

struct both {
    both(result<tls_stream> a, result<tls_stream> b) : near(std::move(a)), far(std::move(b)) {}
    result<tls_stream> near, far;
};

/// What becomes of a client's and a server's try to agree.
inline task<both> try_to_connect(tls_context client, tls_context server, std::string host = "localhost") {
    sockets s = co_await connected_sockets();
    auto accepting = spawn(&tls_stream::accept, std::move(server), std::move(s.far));
    auto near = co_await tls_stream::connect(std::move(client), std::move(s.near), std::move(host));
    auto far = co_await accepting.join();
    co_return both(std::move(near), std::move(far));
}

struct ends {
    ends(tls_stream a, tls_stream b) : near(std::move(a)), far(std::move(b)) {}
    tls_stream near, far;
};

inline task<ends> connected(tls_context client, tls_context server) {
    both c = co_await try_to_connect(std::move(client), std::move(server));
    REQUIRE(c.near);
    REQUIRE(c.far);
    co_return ends(std::move(*c.near), std::move(*c.far));
}

/// OpenSSL between two buffers in memory, which go to the socket when the test says so.
class raw_peer {
public:
    raw_peer(SSL_CTX* context, tcp_stream socket)
        : socket_(std::move(socket)),
          ssl_(::SSL_new(context), &::SSL_free),
          in_(::BIO_new(::BIO_s_mem())),
          out_(::BIO_new(::BIO_s_mem())) {
        ::BIO_set_mem_eof_return(in_, -1);
        ::SSL_set_bio(ssl_.get(), in_, out_);
        if (::SSL_is_server(ssl_.get())) ::SSL_set_accept_state(ssl_.get());
        else ::SSL_set_connect_state(ssl_.get());
    }

    [[nodiscard]] SSL* ssl() const noexcept { return ssl_.get(); }
    [[nodiscard]] tcp_stream& socket() noexcept { return socket_; }

    /// Takes what it has made and not sent.
    [[nodiscard]] std::string take() {
        std::string bytes(::BIO_ctrl_pending(out_), '\0');
        if (!bytes.empty()) REQUIRE(::BIO_read(out_, bytes.data(), int(bytes.size())) == int(bytes.size()));
        return bytes;
    }
    [[nodiscard]] task<> send(std::string bytes) {
        auto n = co_await socket_.write_all(bytes);
        CHECK(n);
    }
    [[nodiscard]] task<> flush() { co_await send(take()); }
    /// Receives once; false at the end.
    [[nodiscard]] task<bool> pull() {
        std::array<char, 65536> b;
        auto n = co_await socket_.read(std::span<char>(b));
        if (!n || *n == 0) co_return false;
        ::BIO_write(in_, b.data(), int(*n));
        co_return true;
    }
    /// Receives so many bytes that OpenSSL does not see.
    [[nodiscard]] task<> skip(std::size_t size) {
        std::array<char, 65536> b;
        while (size != 0) {
            auto n = co_await socket_.read(std::span<char>(b).first(std::min(size, b.size())));
            REQUIRE(n);
            REQUIRE(*n != 0);
            size -= *n;
        }
    }
    [[nodiscard]] task<bool> agree() {
        for (;;) {
            ::ERR_clear_error();
            const int r = ::SSL_do_handshake(ssl());
            const int error = ::SSL_get_error(ssl(), r);
            co_await flush();
            if (r == 1) co_return true;
            if (error != SSL_ERROR_WANT_READ) co_return false;
            const bool more = co_await pull();
            if (!more) co_return false;
        }
    }
    /// Some bytes; empty if there will be none: `reason()` says why.
    [[nodiscard]] task<std::string> read() {
        for (;;) {
            std::string text(65536, '\0');
            ::ERR_clear_error();
            const int r = ::SSL_read(ssl(), text.data(), int(text.size()));
            if (r > 0) {
                text.resize(std::size_t(r));
                co_return text;
            }
            reason_ = ERR_GET_REASON(::ERR_peek_last_error());
            if (::SSL_get_error(ssl(), r) != SSL_ERROR_WANT_READ) co_return std::string();
            const bool more = co_await pull();
            if (!more) co_return std::string();
        }
    }
    [[nodiscard]] task<std::string> read(std::size_t size) {
        std::string all;
        while (all.size() < size) {
            const std::string part = co_await read();
            if (part.empty()) break;
            all += part;
        }
        co_return all;
    }
    [[nodiscard]] int reason() const noexcept { return reason_; }
    [[nodiscard]] task<> write(std::string_view text) {
        CHECK(::SSL_write(ssl(), text.data(), int(text.size())) == int(text.size()));
        co_await flush();
    }

private:
    tcp_stream socket_;
    std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
    BIO* in_;
    BIO* out_;
    int reason_ = 0;
};

using raw_context = std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)>;

/// A server's context of OpenSSL's, with the certificate of `here()`.
inline raw_context raw_server(int version) {
    raw_context made(::SSL_CTX_new(::TLS_server_method()), &::SSL_CTX_free);
    REQUIRE(made);
    REQUIRE(::SSL_CTX_use_certificate_chain_file(made.get(), here().cert.c_str()) == 1);
    REQUIRE(::SSL_CTX_use_PrivateKey_file(made.get(), here().key.c_str(), SSL_FILETYPE_PEM) == 1);
    REQUIRE(::SSL_CTX_set_min_proto_version(made.get(), version) == 1);
    REQUIRE(::SSL_CTX_set_max_proto_version(made.get(), version) == 1);
    return made;
}

/// Our client, and a server of OpenSSL's. They refer to nothing of each other.
struct mixed {
    mixed(tls_stream a, std::unique_ptr<raw_peer> b) : near(std::move(a)), far(std::move(b)) {}
    tls_stream near;
    std::unique_ptr<raw_peer> far;
};

inline task<mixed> connected_to_raw(SSL_CTX* context, tls_context client, int buffer = 0) {
    sockets s = co_await connected_sockets(buffer);
    auto far = std::make_unique<raw_peer>(context, std::move(s.far));
    auto agreeing = spawn([&]() -> task<bool> { return far->agree(); });
    auto near = co_await tls_stream::connect(std::move(client), std::move(s.near), "localhost");
    auto agreed = co_await agreeing.join();
    REQUIRE(agreed.value_or(false));
    REQUIRE(near);
    co_return mixed(std::move(*near), std::move(far));
}

} // namespace tls_test

#define LEVADA_INTERNAL_TLS_TASK(BODY, NAME)                                                                 \
    static ::levada::task<> BODY();                                                                          \
    TEST_CASE(NAME ", on four loops", "[.four_loops]") {                                                     \
        ::tls_test::make_certificates();                                                                     \
        ::test_support::run_on_each_of_four_loops(BODY);                                                     \
    }                                                                                                        \
    TEST_CASE(NAME) { ::tls_test::on_the_loop(BODY); }                                                       \
    static ::levada::task<> BODY()

/// As IO_TASK.
#define TLS_TASK(NAME) LEVADA_INTERNAL_TLS_TASK(INTERNAL_CATCH_UNIQUE_NAME(levada_tls_task_), NAME)
