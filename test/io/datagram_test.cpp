#include "on_the_loop.hpp"

#include <dlfcn.h>
#include <netdb.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <semaphore>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::holds;
using test_support::on_the_loop;
namespace fs = std::filesystem;

namespace {

std::string path_of(std::string_view name) {
    return (fs::temp_directory_path() / ("levada_" + std::to_string(::getpid()) + std::string(name)))
        .string();
}

template <class Socket>
task<std::string> receive(Socket& s, std::size_t most = 64) {
    std::string buffer(most, '\0');
    auto d = co_await s.recv_from(buffer);
    REQUIRE(d);
    buffer.resize(d->size);
    co_return buffer;
}

/// The look-up of "held.test", which takes until it is let go.
struct {
    std::atomic<bool> begun = false, over = false;
    std::binary_semaphore held{0};
    void take() {
        begun = true;
        held.acquire();
        over = true;
    }
    void let_go() {
        held.release();
        while (!over) std::this_thread::yield();
    }
} held_look_up;

} // namespace

// The system's, but for two names: so no test asks a network.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
    const std::string_view name = node ? node : "";
    if (name == "none.test") return EAI_NONAME;
    if (name == "held.test") {
        held_look_up.take();
        return EAI_AGAIN;
    }
    static auto* const real = reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    return real(node, service, hints, found);
}

TEST_CASE("datagrams say who sent them, whole or truncated, over IPv4 and IPv6") {
    on_the_loop([]() -> task<> {
        for (const char* host : {"127.0.0.1:0", "[::1]:0"}) {
            auto a = udp_socket::bind(host);
            auto b = udp_socket::bind(host);
            REQUIRE((a && b));
            const auto to_b = *b->local_address();
            auto r1 = co_await a->send_to("hello", to_b);
            CHECK(r1);
            auto r2 = co_await a->send_to("", to_b);
            CHECK(r2);
            auto r3 = co_await a->send_to("too long", to_b);
            CHECK(r3);
            std::array<char, 5> buffer{};
            auto d = co_await b->recv_from(buffer);
            REQUIRE(d);
            CHECK(std::string_view(buffer.data(), d->size) == "hello");
            CHECK(d->from == *a->local_address());
            CHECK_FALSE(d->truncated);
            auto empty = co_await b->recv_from(buffer);
            REQUIRE(empty);
            CHECK(empty->size == 0);
            auto cut = co_await b->recv_from(buffer);
            REQUIRE(cut);
            CHECK(std::string_view(buffer.data(), cut->size) == "too l");
            CHECK(cut->truncated);
        }
    });
}

TEST_CASE("a connected UDP socket sends without an address, and hears that nobody listens") {
    on_the_loop([]() -> task<> {
        auto server = udp_socket::bind("127.0.0.1:0");
        REQUIRE(server);
        auto client = udp_socket::connect(server->local_address()->to_string());
        REQUIRE(client);
        auto r4 = co_await client->send("ping");
        CHECK(r4);
        std::array<char, 16> buffer{};
        auto d = co_await server->recv_from(buffer);
        REQUIRE(d);
        auto r5 = co_await server->send_to("pong", d->from);
        CHECK(r5);
        const std::string got = co_await receive(*client);
        CHECK(got == "pong");
        auto r6 = co_await server->close();
        CHECK(r6);
        auto r7 = co_await client->send("anybody?");
        CHECK(r7);
        auto refused = co_await client->recv_from(buffer);
        CHECK(refused.error() == std::errc::connection_refused);
        auto big = co_await client->send(std::string(70'000, 'x'));
        CHECK(big.error() == std::errc::message_size);
        CHECK(udp_socket::bind("nowhere").error() == std::errc::invalid_argument);
        CHECK(udp_socket::connect("nowhere").error() == std::errc::invalid_argument);
        CHECK(udp_socket::bind("192.0.2.1:1").error() == std::errc::address_not_available);
    });
}

TEST_CASE("a datagram that comes as a receive loses in a select is there for the next") {
    on_the_loop([]() -> task<> {
        auto a = udp_socket::bind("127.0.0.1:0");
        auto b = udp_socket::bind("127.0.0.1:0");
        REQUIRE((a && b));
        int got = 0;
        for (int i = 0; i < 200; ++i) {
            channel<int> other(1);
            std::array<char, 8> buffer{};
            auto h = spawn([&]() -> task<int> {
                auto s = co_await select(b->recv_from(buffer), other.recv());
                co_return static_cast<int>(s.index());
            });
            for (int k = 0; k < i % 4; ++k) co_await this_task::yield();
            auto r8 = co_await a->send_to(std::to_string(i), *b->local_address());
            CHECK(r8);
            static_cast<void>(other.try_send(1));
            auto which = co_await h.join();
            REQUIRE(which);
            std::string text = buffer.data();
            if (*which != 0) text = co_await receive(*b);
            CHECK(text == std::to_string(i));
            ++got;
        }
        CHECK(got == 200);
        std::array<char, 8> buffer{};
        auto none = co_await with_timeout(1ms, b->recv_from(buffer));
        CHECK(none.error() == errc::timed_out);
    });
}

TEST_CASE("Unix datagrams go by path, by abstract name and in a pair, and their files go with them") {
    const std::string path = path_of("_datagram");
    on_the_loop([&]() -> task<> {
        {
            auto a = unix_datagram::bind(path);
            auto b = unix_datagram::unbound();
            REQUIRE((a && b));
            CHECK(fs::exists(path));
            CHECK(a->local_address()->to_string() == path);
            auto r9 = co_await b->send_to("by path", *socket_address::unix_path(path));
            CHECK(r9);
            std::array<char, 16> buffer{};
            auto d = co_await a->recv_from(buffer);
            REQUIRE(d);
            CHECK(std::string_view(buffer.data(), d->size) == "by path");
            CHECK(d->from.to_string() == "no address");
            auto again = unix_datagram::bind(path);
            CHECK(again.error() == std::errc::address_in_use);
        }
        CHECK_FALSE(fs::exists(path));
        const std::string name = "@levada-" + std::to_string(::getpid());
        auto c = unix_datagram::bind(name);
        REQUIRE(c);
        CHECK(c->local_address()->to_string() == name);
        auto p = unix_datagram::pair();
        REQUIRE(p);
        CHECK(p->first.connect_to(*socket_address::unix_path(name)));
        auto r10 = co_await p->first.send("by name");
        CHECK(r10);
        const std::string got = co_await receive(*c);
        CHECK(got == "by name");
        CHECK(socket_address::unix_path("").error() == std::errc::invalid_argument);
        CHECK(socket_address::unix_path(std::string(200, 'x')).error() == std::errc::filename_too_long);
    });
}

TEST_CASE("Unix streams connect by path, and carry descriptors, which a plain read closes") {
    const std::string path = path_of("_stream");
    const long before = std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
    on_the_loop([&]() -> task<> {
        auto l = unix_listener::bind(path);
        REQUIRE(l);
        auto h = spawn(unix_stream::connect, path);
        auto far = co_await l->accept();
        auto near = co_await h.join();
        REQUIRE((far && near));
        CHECK(unix_listener::bind(path).error() == std::errc::address_in_use);
        auto nobody = co_await unix_stream::connect(path_of("_nobody"));
        CHECK(nobody.error() == std::errc::no_such_file_or_directory);

        std::FILE* const text = std::tmpfile();
        REQUIRE(text);
        std::fputs("passed on", text);
        std::fflush(text);
        const std::array<int, 2> given{::fileno(text), ::fileno(text)};
        auto r11 = co_await near->write_descriptors("two", given);
        CHECK(holds(r11, std::size_t(3)));
        std::array<char, 16> buffer{};
        auto got = co_await far->read_descriptors(buffer);
        REQUIRE(got);
        CHECK(std::string_view(buffer.data(), got->size) == "two");
        REQUIRE(got->descriptors.size() == 2);
        CHECK(::pread(got->descriptors[1].get(), buffer.data(), buffer.size(), 0) == 9);
        CHECK(std::string_view(buffer.data(), 9) == "passed on");

        auto r12 = co_await near->write_descriptors("closed", given);
        CHECK(holds(r12, std::size_t(6)));
        auto r13 = co_await far->read(buffer);
        CHECK(holds(r13, std::size_t(6)));
        auto r14 = co_await near->write_descriptors("none", {});
        CHECK(holds(r14, std::size_t(4)));
        auto plain = co_await far->read_descriptors(buffer);
        REQUIRE(plain);
        CHECK(plain->descriptors.empty());
        auto r15 = co_await near->write_descriptors("", given);
        CHECK(r15.error() == std::errc::invalid_argument);
        const std::array<int, 33> many{};
        auto r16 = co_await near->write_descriptors("x", many);
        CHECK(r16.error() == std::errc::invalid_argument);
        std::fclose(text);
        auto r17 = co_await near->shutdown_write();
        CHECK(r17);
    });
    CHECK_FALSE(fs::exists(path));
    CHECK(std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()) == before);
}

TEST_CASE("bytes that a losing read has kept come before descriptors, and a broken stream takes none") {
    on_the_loop([]() -> task<> {
        auto p = unix_stream::pair();
        REQUIRE(p);
        for (int turns = 0; turns < 4; ++turns) {
            std::array<char, 4> buffer{};
            channel<int> other(1);
            auto h = spawn([&]() -> task<std::size_t> {
                auto s = co_await select(p->first.read(buffer), other.recv());
                co_return s.index();
            });
            for (int i = 0; i < turns; ++i) co_await this_task::yield();
            auto a = co_await p->second.write("A");
            CHECK(a);
            static_cast<void>(other.try_send(1));
            auto which = co_await h.join();
            REQUIRE(which);
            const std::array<int, 1> given{0};
            auto b = co_await p->second.write_descriptors("B", given);
            CHECK(b);
            std::string got;
            if (*which == 0) got = buffer[0];
            std::size_t descriptors = 0;
            while (got.size() < 2) {
                auto r = co_await p->first.read_descriptors(buffer);
                REQUIRE(r);
                got.append(buffer.data(), r->size);
                descriptors += r->descriptors.size();
            }
            CHECK(got == "AB");
            CHECK(descriptors == 1);
        }
        const std::string big(8 << 20, 'x');
        // What is cut before its first byte went breaks nothing: then once more, with more time.
        for (duration limit = 5ms; !test_support::has_bytes(p->first); limit *= 2) {
            auto torn = co_await with_timeout(
                limit, [&]() -> task<> { static_cast<void>(co_await p->second.write_all(big)); });
            static_cast<void>(torn);
        }
        const std::array<int, 1> given{0};
        auto refused = co_await p->second.write_descriptors("C", given);
        CHECK(refused.error() == std::errc::broken_pipe);
    });
}

TEST_CASE("names are resolved, numbers are given back, and what is unknown says so") {
    on_the_loop([]() -> task<> {
        auto known = co_await resolve("LOCALHOST", 80);
        REQUIRE(known);
        REQUIRE_FALSE(known->empty());
        CHECK(known->front().port() == 80);
        auto number = co_await resolve("::1", 7);
        REQUIRE(number);
        CHECK(number->front().to_string() == "[::1]:7");
        auto nobody = co_await resolve("none.test");
        REQUIRE_FALSE(nobody);
        CHECK(nobody.error() == std::error_code(EAI_NONAME, resolve_category()));
        CHECK_FALSE(nobody.error().message().empty());
        auto empty = co_await resolve("");
        CHECK(empty.error() == std::errc::invalid_argument);
    });
}

TEST_CASE(
    "a wait for a name that is cancelled ends at once, and so does its loop, while the system still tries") {
    on_the_loop([]() -> task<> {
        auto cut = spawn(resolve, "held.test", std::uint16_t(1));
        while (!held_look_up.begun) co_await this_task::yield();
        cut.cancel();
        auto r = co_await cut.join();
        CHECK(r.error() == errc::cancelled);
    });
    CHECK_FALSE(held_look_up.over);
    held_look_up.let_go();
}

TEST_CASE("connect tries the addresses of a name in turn, and refuses what is none") {
    on_the_loop([]() -> task<> {
        auto l = tcp_listener::bind("127.0.0.1:0");
        REQUIRE(l);
        // localhost as the system knows it, with IPv6 perhaps, where nobody listens.
        auto name = "LOCALHOST:" + std::to_string(l->local_address().port());
        auto h = spawn(tcp_stream::connect, name);
        auto far = co_await l->accept();
        CHECK(far);
        auto near = co_await h.join();
        REQUIRE(near);
        CHECK(near->set_keep_alive(true));
        CHECK(near->set_keep_alive(30s));
        CHECK(near->set_keep_alive(1s).error() == std::errc::invalid_argument);
        for (const char* wrong : {"", "host", ":x", "host:", "host:99999", "[::1:80", "[nobody]:1"}) {
            auto r = co_await tcp_stream::connect(wrong);
            INFO(wrong);
            CHECK_FALSE(r);
        }
    });
}
