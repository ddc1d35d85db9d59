// Names, certificates and protocols: who is accepted, and what is agreed on.
#include "peers.hpp"

#include <chrono>
#include <vector>

using namespace tls_test;
using test_support::holds;

namespace {

tls_context client_that_shows(const certificate& c) {
    tls_client_options options;
    options.certificate = c.files();
    return here().client(options);
}
tls_context server_that_asks(tls_client_certificate how) {
    tls_server_options options;
    options.client_certificate = how;
    options.client_ca_file = somebody().cert;
    return here().server(options);
}
tls_context client_of(std::string_view alpn) { return here().client({.alpn = alpn}); }
tls_context server_of(std::string_view alpn) { return here().server({.alpn = alpn}); }

} // namespace

TLS_TASK("a certificate whose common name matches, but which has no alternative name, is refused") {
    both c = co_await try_to_connect(only_a_common_name().client(), only_a_common_name().server());
    REQUIRE(!c.near);
    CHECK(c.near.error() == std::error_code(X509_V_ERR_HOSTNAME_MISMATCH, certificate_category()));
}

TLS_TASK("a host that OpenSSL would take for any, or for all below it, is refused") {
    using namespace std::string_literals;
    const std::vector<std::string> hosts{"", ".", ".localhost", ".one.example", "localhost\0.evil.example"s};
    for (const std::string& host : hosts) {
        both c = co_await try_to_connect(here().client(), here().server(), host);
        REQUIRE(!c.near);
        CHECK(c.near.error() == std::errc::invalid_argument);
    }
    both below = co_await try_to_connect(named().client(), named().server(), "two.example");
    CHECK_FALSE(below.near);
    both two_below = co_await try_to_connect(named().client(), named().server(), "a.b.two.example");
    CHECK_FALSE(two_below.near);
    both star = co_await try_to_connect(named().client(), named().server(), "*.two.example");
    CHECK_FALSE(star.near);
}

TLS_TASK("a host is a name, in any letters, with a dot behind it or not, or an address") {
    for (const char* host : {"localhost", "LocalHost", "localhost.", "127.0.0.1"}) {
        both c = co_await try_to_connect(here().client(), here().server(), host);
        CHECK(c.near);
        CHECK(c.far);
    }
    both other = co_await try_to_connect(here().client(), here().server(), "127.0.0.2");
    REQUIRE(!other.near);
    CHECK(other.near.error() == std::error_code(X509_V_ERR_IP_ADDRESS_MISMATCH, certificate_category()));
    for (const char* host : {"one.example", "a.two.example"}) {
        both c = co_await try_to_connect(named().client(), named().server(), host);
        CHECK(c.near);
    }
}

TLS_TASK("the protocol that the server wants most of those offered is agreed on") {
    const ends c = co_await connected(client_of("http/1.1,h2,x"), server_of("h2,http/1.1"));
    CHECK(c.near.alpn() == "h2");
    CHECK(c.far.alpn() == "h2");
    for (const auto& [client, server] : {std::pair("", "h2"), std::pair("h2", ""), std::pair("", "")}) {
        const ends none = co_await connected(client_of(client), server_of(server));
        CHECK(none.near.alpn().empty());
        CHECK(none.far.alpn().empty());
    }
}

TLS_TASK("two that have no protocol in common do not connect") {
    both c = co_await try_to_connect(client_of("x,y"), server_of("h2,http/1.1"));
    REQUIRE(!c.near);
    CHECK(c.near.error().category() == tls_category());
    REQUIRE(!c.far);
    CHECK(c.far.error().category() == tls_category());
}

TLS_TASK("a server that chooses a protocol that was not offered is refused") {
    const raw_context context = raw_server(TLS1_3_VERSION);
    ::SSL_CTX_set_alpn_select_cb(
        context.get(),
        [](SSL*, const unsigned char** out, unsigned char* length, const unsigned char*, unsigned, void*) {
            static constexpr unsigned char other[] = {'h', '2'};
            *out = other;
            *length = sizeof other;
            return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
    sockets s = co_await connected_sockets();
    raw_peer far(context.get(), std::move(s.far));
    auto agreeing = spawn([&]() -> task<bool> { return far.agree(); });
    auto near = co_await tls_stream::connect(client_of("http/1.1"), std::move(s.near), "localhost");
    REQUIRE(!near);
    CHECK((near.error() == std::errc::protocol_error || near.error().category() == tls_category()));
    auto agreed = co_await agreeing.join();
    CHECK(agreed);
}

TLS_TASK("a server shows the certificate of the host that the client names") {
    const std::vector<tls_key_pair> more{named().files(), somebody().files()};
    tls_server_options options;
    options.more_certificates = more;
    const tls_context server = here().server(options);
    const auto client = tls_context::client({.verify = false});
    REQUIRE(client);
    const std::vector<std::pair<std::string, std::string>> shown{
        {"one.example", "CN=named"},    {"ONE.example", "CN=named"},
        {"a.two.example", "CN=named"},  {"somebody.example", "CN=somebody,O=Levada"},
        {"localhost", "CN=localhost"},  {"nobody.example", "CN=localhost"},
        {"127.0.0.1", "CN=localhost"},  {"a.b.two.example", "CN=localhost"},
        {"two.example", "CN=localhost"}};
    for (const auto& [host, subject] : shown) {
        both c = co_await try_to_connect(*client, server, host);
        REQUIRE(c.near);
        REQUIRE(c.far);
        const auto certificate = c.near->peer_certificate();
        REQUIRE(certificate);
        CHECK(certificate->subject() == subject);
        CHECK(c.far->server_name() == (host == "127.0.0.1" ? "" : host));
    }
    both verified = co_await try_to_connect(named().client(), server, "a.two.example");
    CHECK(verified.near);
}

TLS_TASK("a client is asked for its certificate, and the server sees which it is") {
    for (const auto how : {tls_client_certificate::requested, tls_client_certificate::required}) {
        const ends c = co_await connected(client_that_shows(somebody()), server_that_asks(how));
        const auto shown = c.far.peer_certificate();
        REQUIRE(shown);
        CHECK(shown->subject() == "CN=somebody,O=Levada");
        CHECK(shown->issuer() == shown->subject());
        CHECK(shown->uris() == std::vector<std::string>(1, "spiffe://levada/somebody"));
        CHECK(shown->dns_names() == std::vector<std::string>(1, "somebody.example"));
        CHECK(shown->ip_addresses() == std::vector<std::string>(1, "::1"));
    }
    const ends without =
        co_await connected(here().client(), server_that_asks(tls_client_certificate::requested));
    CHECK_FALSE(without.far.peer_certificate());
    const ends not_asked = co_await connected(client_that_shows(somebody()), here().server());
    CHECK_FALSE(not_asked.far.peer_certificate());
}

TLS_TASK("a client without a certificate, or with a stranger's, is refused where one is required") {
    for (const bool strange : {false, true}) {
        const tls_context client = strange ? client_that_shows(stranger()) : here().client();
        for (const auto how : {tls_client_certificate::requested, tls_client_certificate::required}) {
            if (!strange && how == tls_client_certificate::requested) continue;
            both c = co_await try_to_connect(client, server_that_asks(how));
            REQUIRE(!c.far);
            CHECK(c.far.error().category() == (strange ? certificate_category() : tls_category()));
            REQUIRE(c.near); // with TLS 1.3 the client has agreed before
            std::array<char, 8> b;
            auto n = co_await c.near->read(std::span<char>(b));
            REQUIRE(!n);
            CHECK(n.error().category() == tls_category());
        }
    }
}

TLS_TASK("a client that was asked for its certificate may come back with its session") {
    const tls_context server = server_that_asks(tls_client_certificate::required);
    const raw_context context(::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
    ::SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION); // has its session at once
    REQUIRE(::SSL_CTX_use_certificate_file(context.get(), somebody().cert.c_str(), SSL_FILETYPE_PEM) == 1);
    REQUIRE(::SSL_CTX_use_PrivateKey_file(context.get(), somebody().key.c_str(), SSL_FILETYPE_PEM) == 1);
    SSL_SESSION* session = nullptr;
    for (int i = 0; i < 2; ++i) {
        sockets s = co_await connected_sockets();
        auto accepting = spawn(&tls_stream::accept, server, std::move(s.far));
        raw_peer client(context.get(), std::move(s.near));
        if (session) ::SSL_set_session(client.ssl(), session);
        const bool agreed = co_await client.agree();
        CHECK(agreed);
        auto far = co_await accepting.join();
        REQUIRE(far);
        CHECK(::SSL_session_reused(client.ssl()) == i);
        const auto shown = far->peer_certificate();
        REQUIRE(shown);
        CHECK(shown->subject() == "CN=somebody,O=Levada");
        ::SSL_SESSION_free(session);
        session = ::SSL_get1_session(client.ssl());
        ::SSL_set_shutdown(client.ssl(), SSL_SENT_SHUTDOWN); // else it is of no more use
    }
    ::SSL_SESSION_free(session);
}

TLS_TASK("a certificate outlives its connection, and equals itself only") {
    std::optional<tls_certificate> first, other;
    {
        const ends a = co_await connected(here().client(), here().server());
        const ends b = co_await connected(here().client(), here().server());
        first = a.near.peer_certificate();
        other = b.near.peer_certificate();
        REQUIRE(first);
        REQUIRE(other);
        CHECK(*first == *other);
        const ends c = co_await connected(client_that_shows(somebody()),
                                          server_that_asks(tls_client_certificate::required));
        other = c.far.peer_certificate();
        REQUIRE(other);
        CHECK_FALSE(*first == *other);
    }
    CHECK(first->subject() == "CN=localhost");
    CHECK(first->dns_names() == std::vector<std::string>(1, "localhost"));
    CHECK(first->ip_addresses() == std::vector<std::string>(1, "127.0.0.1"));
    CHECK(first->fingerprint().size() == 64);
    CHECK(first->fingerprint() != other->fingerprint());
    CHECK(first->der().size() > 200);
    CHECK(first->der() != other->der());
    const auto now = std::chrono::system_clock::now();
    CHECK(first->not_before() <= now);
    CHECK(first->not_after() > now);
    CHECK(first->not_after() - first->not_before() == std::chrono::hours(48));
    co_return;
}

TLS_TASK("options that mean nothing are refused") {
    const std::string long_one(256, 'x');
    const std::vector<std::string_view> wrong{",", "h2,", ",h2", "h2,,x", long_one};
    for (const std::string_view alpn : wrong) {
        const auto client = tls_context::client({.alpn = alpn});
        CHECK(client.error() == std::errc::invalid_argument);
        const auto server = tls_context::server(here().cert, here().key, {.alpn = alpn});
        CHECK(server.error() == std::errc::invalid_argument);
    }
    tls_server_options ask;
    ask.client_certificate = tls_client_certificate::required; // of nobody whom it trusts
    const auto server = tls_context::server(here().cert, here().key, ask);
    CHECK(server.error() == std::errc::invalid_argument);
    const auto half = tls_context::client({.certificate = {here().cert, ""}});
    CHECK_FALSE(half);
    const tls_key_pair no_file{"/no/such/file", here().key};
    tls_server_options more;
    more.more_certificates = std::span(&no_file, 1);
    CHECK_FALSE(tls_context::server(here().cert, here().key, more));

    both swapped = co_await try_to_connect(here().server(), here().client());
    CHECK(swapped.near.error() == std::errc::invalid_argument);
    CHECK(swapped.far.error() == std::errc::invalid_argument);
}

TEST_CASE("a key that is encrypted is an error, and nobody is asked for its password") {
    const certificate secret("/CN=localhost", "", "-passout pass:secret");
    const auto server = tls_context::server(secret.cert, secret.key);
    CHECK_FALSE(server);
}
