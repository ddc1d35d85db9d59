#include "peers.hpp"

#include <chrono>
#include <vector>

using namespace tls_test;
using namespace std::chrono_literals;
using test_support::holds;

namespace {

tcp_listener listen_here() {
    auto l = tcp_listener::bind("127.0.0.1:0");
    REQUIRE(l);
    return std::move(*l);
}

task<result<tls_stream>> accept_one(tcp_listener& l) {
    auto s = co_await l.accept();
    REQUIRE(s);
    co_return co_await tls_stream::accept(here().server(), std::move(*s));
}

task<ends> connected() {
    tcp_listener l = listen_here();
    auto accepting = spawn(accept_one, std::ref(l));
    auto near = co_await tls_stream::connect(here().client(), l.local_address().to_string());
    auto far = co_await accepting.join();
    REQUIRE(near);
    REQUIRE(far);
    co_return ends(std::move(*near), std::move(*far));
}

template <class Stream>
task<std::string> read_all(Stream& from) {
    std::string out;
    std::array<char, 10'000> buffer;
    for (;;) {
        auto n = co_await from.read(std::span<char>(buffer));
        REQUIRE(n);
        if (*n == 0) co_return out;
        out.append(buffer.data(), *n);
    }
}

} // namespace

TLS_TASK("megabytes go both ways at once, and each side sees the other's end") {
    ends c = co_await connected();
    CHECK(c.near.version() == "TLSv1.3");
    const std::string a(3'000'000, 'a'), b(2'000'000, 'b');
    std::string got_a, got_b;
    co_await with_group([&](task_group& g) -> task<> {
        const auto send = [](tls_stream& to, const std::string& text) -> task<> {
            auto n = co_await to.write_all(text);
            CHECK(holds(n, text.size()));
            auto ended = co_await to.shutdown_write();
            CHECK(ended);
        };
        g.go(send, std::ref(c.near), std::cref(a));
        g.go(send, std::ref(c.far), std::cref(b));
        g.go([&]() -> task<> { got_b = co_await read_all(c.near); });
        got_a = co_await read_all(c.far);
    });
    CHECK(got_a == a);
    CHECK(got_b == b);
}

TLS_TASK("lines over TLS are read by the same buffered reader") {
    ends c = co_await connected();
    auto sent = co_await c.far.write_all("one\ntwo\nrest");
    CHECK(sent);
    buffered in(c.near);
    auto one = co_await in.read_line(100);
    auto two = co_await in.read_line(100);
    CHECK(holds(one, std::string("one")));
    CHECK(holds(two, std::string("two")));
    auto late = co_await with_timeout(1ms, [&] { return in.read_line(100); });
    CHECK(late.error() == errc::timed_out);
    sent = co_await c.far.write_all(" of it\n");
    CHECK(sent);
    auto rest = co_await in.read_line(100);
    CHECK(holds(rest, std::string("rest of it")));
}

TLS_TASK(
    "a certificate that nobody vouches for, or that is another host's, is refused, and both sides say why") {
    tcp_listener l = listen_here();
    auto unknown = tls_context::client();
    REQUIRE(unknown);
    for (int i = 0; i < 2; ++i) {
        auto accepting = spawn(accept_one, std::ref(l));
        auto socket = co_await tcp_stream::connect(l.local_address().to_string());
        REQUIRE(socket);
        tls_context context = i == 0 ? *unknown : here().client();
        auto near = co_await tls_stream::connect(std::move(context), std::move(*socket),
                                                 i == 0 ? "localhost" : "example.org");
        REQUIRE(!near);
        CHECK(near.error().category() == certificate_category());
        CHECK_FALSE(near.error().message().empty());
        auto far = co_await accepting.join();
        if (far) { // it has agreed before the client refused: the next read hears of it
            std::array<char, 8> buffer{};
            auto n = co_await far->read(std::span<char>(buffer));
            CHECK_FALSE(n);
        } else {
            CHECK(far.error().category() == tls_category());
        }
    }
}

TLS_TASK("one who does not speak TLS, or hangs up while agreeing, is an error") {
    tcp_listener l = listen_here();
    for (const std::string_view says : {"GET / HTTP/1.1\r\n\r\n", ""}) {
        auto accepting = spawn(accept_one, std::ref(l));
        auto plain = co_await tcp_stream::connect(l.local_address().to_string());
        REQUIRE(plain);
        auto sent = co_await plain->write_all(says);
        CHECK(sent);
        auto ended = co_await plain->shutdown_write();
        CHECK(ended);
        auto far = co_await accepting.join();
        REQUIRE(!far);
        if (says.empty()) CHECK(far.error() == std::errc::connection_aborted);
        else CHECK(far.error().category() == tls_category());
    }
    auto none = tls_context::server("/no/such/file", here().key);
    CHECK_FALSE(none);
    auto wrong = tls_context::server(here().key, here().cert);
    CHECK_FALSE(wrong);
    tls_client_options options;
    options.ca_file = "/no/such/file";
    CHECK_FALSE(tls_context::client(options));
}

TLS_TASK("a connection that is cut is told from one that has ended") {
    ends c = co_await connected();
    auto sent = co_await c.far.write_all("half");
    CHECK(sent);
    auto closed = co_await c.far.close();
    CHECK(closed);
    std::array<char, 8> buffer{};
    auto n = co_await c.near.read(std::span<char>(buffer));
    CHECK(holds(n, std::size_t(4)));
    auto cut = co_await c.near.read(std::span<char>(buffer));
    CHECK(cut.error() == std::errc::connection_aborted);
}

TLS_TASK("agreeing, reading and writing over TLS are cancelled at any moment") {
    for (int turns = 0; turns < 30; ++turns) {
        tcp_listener l = listen_here();
        auto accepting = spawn(accept_one, std::ref(l));
        auto h = spawn([&]() -> task<> {
            auto s = co_await tls_stream::connect(here().client(), l.local_address().to_string());
            REQUIRE(s);
            const std::string much(1 << 20, 'x');
            static_cast<void>(co_await s->write_all(much));
            std::array<char, 8> buffer{};
            static_cast<void>(co_await s->read(std::span<char>(buffer)));
        });
        for (int i = 0; i < turns; ++i) co_await this_task::yield();
        if (turns % 5 == 0) co_await sleep_for(2ms);
        h.cancel();
        auto r = co_await h.join();
        CHECK(r.error() == errc::cancelled);
        accepting.cancel();
        static_cast<void>(co_await accepting.join());
    }
}

TLS_TASK("the openssl program agrees with our server") {
    tcp_listener l = listen_here();
    auto accepting = spawn(accept_one, std::ref(l));
    child_options set;
    set.input = set.output = child_stream::pipe;
    set.error = child_stream::null;
    std::vector<std::string> command;
    for (const char* part :
         {"openssl", "s_client", "-quiet", "-verify_return_error", "-servername", "localhost", "-CAfile"})
        command.emplace_back(part);
    command.push_back(here().cert);
    command.emplace_back("-connect");
    command.push_back(l.local_address().to_string());
    auto client = child_process::start(command, set);
    REQUIRE(client);
    auto far = co_await accepting.join();
    REQUIRE(far);
    auto sent = co_await client->input()->write_all("from openssl\n");
    CHECK(sent);
    buffered in(*far);
    auto line = co_await in.read_line(100);
    CHECK(holds(line, std::string("from openssl")));
    auto answered = co_await far->write_all("from levada\n");
    CHECK(answered);
    buffered out(*client->output());
    auto answer = co_await out.read_line(100);
    CHECK(holds(answer, std::string("from levada")));
}
