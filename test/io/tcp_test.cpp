#include "on_the_loop.hpp"

#include <levada/cancel/source.hpp>
#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/io/tcp.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>
#include <levada/task/with_token.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::connected;
using test_support::has_bytes;
using test_support::holds;
using test_support::listen_here;
using test_support::on_the_loop;
namespace fs = std::filesystem;

namespace {

std::string pattern(std::size_t n) {
    std::string s(n, '\0');
    for (std::size_t i = 0; i < n; ++i) s[i] = static_cast<char>('a' + (i * 31 + i / 257) % 26);
    return s;
}

task<std::string> read_to_end(tcp_stream& s) {
    std::string all;
    std::array<char, 5000> buffer{};
    for (;;) {
        auto n = co_await s.read(buffer);
        REQUIRE(n);
        if (*n == 0) break;
        all.append(buffer.data(), *n);
    }
    co_return all;
}

/// The next close sends a reset.
void close_hard(const tcp_stream& s) {
    const ::linger now{1, 0};
    REQUIRE(::setsockopt(s.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
}

} // namespace

TEST_CASE("binding to a bad text or a port in use is an outcome") {
    on_the_loop([]() -> task<> {
        for (const char* text : {"", "nonsense", "127.0.0.1", "127.0.0.1:port", "256.0.0.1:1"}) {
            auto l = tcp_listener::bind(text);
            CHECK(l.error() == std::errc::invalid_argument);
        }
        tcp_listener first = listen_here();
        CHECK(first.local_address().port() != 0);
        auto second = tcp_listener::bind(first.local_address().to_string());
        CHECK(second.error() == std::errc::address_in_use);
        auto foreign = tcp_listener::bind("8.8.8.8:0");
        CHECK(foreign.error() == std::errc::address_not_available);
        co_return;
    });
}

TEST_CASE("a port is free again as soon as its listener has gone") {
    on_the_loop([]() -> task<> {
        std::string where;
        for (int i = 0; i < 3; ++i) {
            auto l = tcp_listener::bind(where.empty() ? "127.0.0.1:0" : where);
            REQUIRE(l);
            where = l->local_address().to_string();
            auto h = spawn(tcp_stream::connect, where);
            auto s = co_await l->accept();
            CHECK(s);
            auto c = co_await h.join();
            CHECK(c);
        }
    });
}

TEST_CASE("connecting to nobody is refused, and to no address invalid") {
    on_the_loop([]() -> task<> {
        std::string where;
        {
            tcp_listener l = listen_here();
            where = l.local_address().to_string();
        }
        auto refused = co_await tcp_stream::connect(where);
        CHECK(refused.error() == std::errc::connection_refused);
        auto invalid = co_await tcp_stream::connect("127.0.0.1");
        CHECK(invalid.error() == std::errc::invalid_argument);
    });
}

TEST_CASE("both ends know each other's address, on IPv4 and where there is one on IPv6") {
    on_the_loop([]() -> task<> {
        for (const char* host : {"127.0.0.1:0", "[::1]:0"}) {
            auto l = tcp_listener::bind(host);
            if (!l) {
                CHECK(std::string(host) == "[::1]:0");
                continue;
            }
            auto h = spawn(tcp_stream::connect, l->local_address().to_string());
            auto far = co_await l->accept();
            auto near = co_await h.join();
            REQUIRE((far && near));
            CHECK(near->peer_address().value() == l->local_address());
            CHECK(far->peer_address().value() == near->local_address().value());
        }
    });
}

TEST_CASE("ten megabytes echo through write_all and partial reads unharmed, both ways at once") {
    on_the_loop([]() -> task<> {
        auto w = co_await connected();
        auto echo = spawn([&]() -> task<> {
            std::array<char, 40'000> buffer{};
            for (;;) {
                auto n = co_await w.far.read(buffer);
                REQUIRE(n);
                if (*n == 0) break;
                auto written = co_await w.far.write_all(std::string_view(buffer.data(), *n));
                CHECK(holds(written, *n));
            }
            auto end = co_await w.far.shutdown_write();
            CHECK(end);
        });
        const std::string sent = pattern(10'000'000);
        auto writer = spawn([&]() -> task<> {
            auto written = co_await w.near.write_all(sent);
            CHECK(holds(written, sent.size()));
            auto end = co_await w.near.shutdown_write();
            CHECK(end);
        });
        const std::string got = co_await read_to_end(w.near);
        CHECK((got == sent));
        auto e = co_await echo.join();
        auto r = co_await writer.join();
        CHECK((e && r));
    });
}

TEST_CASE("after a half close the peer reads what came before, then 0 again and again, and can still write") {
    on_the_loop([]() -> task<> {
        auto w = co_await connected();
        auto sent = co_await w.near.write_all("last words");
        CHECK(sent);
        auto half = co_await w.near.shutdown_write();
        CHECK(half);
        const std::string got = co_await read_to_end(w.far);
        CHECK(got == "last words");
        std::array<char, 8> buffer{};
        auto end = co_await w.far.read(buffer);
        CHECK(holds(end, 0u));
        auto back = co_await w.far.write_all("answer");
        CHECK(back);
        auto n = co_await w.near.read(buffer);
        CHECK(holds(n, 6u));
        auto after = co_await w.near.write("x");
        CHECK(after.error() == std::errc::broken_pipe); // and no SIGPIPE
    });
}

TEST_CASE("an empty read or write ends at once, without a peer's doing") {
    on_the_loop([]() -> task<> {
        auto w = co_await connected();
        auto r = co_await w.near.read(std::span<char>());
        CHECK(holds(r, 0u));
        auto a = co_await w.near.write("");
        CHECK(holds(a, 0u));
        auto b = co_await w.near.write_all("");
        CHECK(holds(b, 0u));
    });
}

TEST_CASE("a reset by the peer is an error to reads and writes, not a signal and not an end") {
    on_the_loop([]() -> task<> {
        auto w = co_await connected();
        std::array<char, 8> buffer{};
        auto reading = spawn([&]() -> task<result<std::size_t>> { co_return co_await w.near.read(buffer); });
        co_await test_support::until_parked(reading);
        close_hard(w.far);
        auto closed = co_await w.far.close();
        CHECK(closed);
        auto n = co_await reading.join();
        CHECK(n.error() == std::errc::connection_reset);
        auto written = co_await w.near.write_all("x");
        CHECK(written.error() == std::errc::broken_pipe);
    });
}

TEST_CASE("who resets a stream breaks the connection for the peer, where a close ends it") {
    on_the_loop([]() -> task<> {
        for (const bool receives : {false, true}) {
            auto w = co_await connected();
            auto unread = co_await w.far.write_all("unread");
            CHECK(unread);
            if (receives) { // the kernel goes on receiving by itself
                auto sent = co_await w.near.write_all("hello");
                CHECK(sent);
                auto piece = co_await w.far.receive();
                CHECK(piece);
            }
            std::array<char, 6> buffer{};
            auto first = co_await w.near.read(buffer);
            CHECK(holds(first, 6u));
            auto reading =
                spawn([&]() -> task<result<std::size_t>> { co_return co_await w.near.read(buffer); });
            co_await test_support::until_parked(reading);
            auto done = co_await w.far.reset();
            CHECK(done);
            CHECK(w.far.native_handle() == -1);
            auto n = co_await reading.join();
            CHECK(n.error() == std::errc::connection_reset);
            auto written = co_await w.near.write_all("x");
            CHECK(written.error() == std::errc::broken_pipe);
            auto again = co_await w.far.reset();
            CHECK(again.error() == std::errc::bad_file_descriptor);
        }
        auto w = co_await connected();
        auto closed = co_await w.far.close();
        CHECK(closed);
        std::array<char, 6> buffer{};
        auto end = co_await w.near.read(buffer);
        CHECK(holds(end, 0u));
    });
}

TEST_CASE("a write_all that a reset cuts short fails and marks the stream broken") {
    on_the_loop([]() -> task<> {
        auto w = co_await connected();
        const std::string much = pattern(20'000'000);
        auto writing =
            spawn([&]() -> task<result<std::size_t>> { co_return co_await w.near.write_all(much); });
        co_await test_support::until_full(w.near);
        close_hard(w.far);
        auto closed = co_await w.far.close();
        CHECK(closed);
        auto n = co_await writing.join();
        CHECK_FALSE(n);
        auto again = co_await w.near.write_all("x");
        CHECK(again.error() == std::errc::broken_pipe);
    });
}

TEST_CASE("a write_all cut short by a cancel marks the stream broken") {
    on_the_loop([]() -> task<> {
        const std::string much = pattern(20'000'000);
        auto w = co_await connected();
        auto writing =
            spawn([&]() -> task<result<std::size_t>> { co_return co_await w.near.write_all(much); });
        co_await test_support::until_full(w.near);
        writing.cancel();
        auto n = co_await writing.join();
        CHECK_FALSE(n);
        auto again = co_await w.near.write_all("x");
        CHECK(again.error() == std::errc::broken_pipe);
    });
}

TEST_CASE("a write_all cut short by a time limit or a token marks the stream broken") {
    on_the_loop([]() -> task<> {
        const std::string much = pattern(20'000'000);
        // What is cut before its first byte went breaks nothing: then once more, with more time.
        bool some_went = false;
        for (duration limit = 5ms; !some_went; limit *= 2) {
            auto w = co_await connected();
            auto n = co_await with_timeout(limit, w.near.write_all(much));
            CHECK(n.error() == errc::timed_out);
            some_went = has_bytes(w.far);
            auto again = co_await w.near.write_all("x");
            if (some_went) CHECK(again.error() == std::errc::broken_pipe);
        }
        some_went = false;
        for (duration limit = 5ms; !some_went; limit *= 2) {
            auto w = co_await connected();
            cancel_source src(limit);
            auto n = co_await with_token(src.token(), w.near.write_all(much));
            CHECK(n.error() == errc::timed_out);
            some_went = has_bytes(w.far);
            auto again = co_await w.near.write_all("x");
            if (some_went) CHECK(again.error() == std::errc::broken_pipe);
        }
        some_went = false;
        for (duration limit = 5ms; !some_went; limit *= 2) {
            auto w = co_await connected();
            auto n = co_await with_timeout(limit, [&]() -> task<> {
                auto r = co_await w.near.write_all(much);
                CHECK_FALSE(r);
            });
            (void)n;
            some_went = has_bytes(w.far);
            auto again = co_await w.near.write_all("x");
            if (some_went) CHECK(again.error() == std::errc::broken_pipe);
        }
    });
}

TEST_CASE("a write_all that was cancelled before it began leaves the stream whole") {
    on_the_loop([]() -> task<> {
        auto w = co_await connected();
        cancel_source gone;
        gone.cancel();
        auto n = co_await with_token(gone.token(), w.near.write_all("never"));
        CHECK(n.error() == errc::cancelled);
        auto written = co_await w.near.write_all("x");
        CHECK(holds(written, 1u));
        std::array<char, 8> buffer{};
        auto r = co_await w.far.read(buffer);
        CHECK(holds(r, 1u));
    });
}

TEST_CASE("two hundred connections at once each get their own answers") {
    on_the_loop([]() -> task<> {
        tcp_listener l = listen_here();
        auto server = spawn([&]() -> task<> {
            for (;;) {
                auto s = co_await l.accept();
                REQUIRE(s);
                go(
                    [](tcp_stream c) -> task<> {
                        std::array<char, 64> buffer{};
                        for (;;) {
                            auto n = co_await c.read(buffer);
                            if (!n || *n == 0) co_return;
                            auto w = co_await c.write_all(std::string_view(buffer.data(), *n));
                            if (!w) co_return;
                        }
                    },
                    std::move(*s));
            }
        });
        int right = 0;
        std::vector<join_handle<>> clients;
        for (int i = 0; i < 200; ++i) {
            clients.push_back(spawn([&, i]() -> task<> {
                auto s = co_await tcp_stream::connect(l.local_address().to_string());
                REQUIRE(s);
                const std::string text = "client " + std::to_string(i);
                auto w = co_await s->write_all(text);
                CHECK(w);
                auto half = co_await s->shutdown_write();
                CHECK(half);
                const std::string back = co_await read_to_end(*s);
                right += back == text ? 1 : 0;
            }));
        }
        for (auto& c : clients) {
            auto r = co_await c.join();
            CHECK(r);
        }
        CHECK(right == 200);
        server.cancel();
        auto r = co_await server.join();
        CHECK(r.error() == errc::cancelled);
    });
}
