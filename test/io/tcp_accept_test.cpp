#include "on_the_loop.hpp"

#include <levada/cancel/source.hpp>
#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/io/tcp.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>
#include <levada/task/with_group.hpp>

#include <catch2/catch_test_macros.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
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
using test_support::descriptors;
using test_support::holds;
using test_support::listen_here;
using test_support::on_the_loop;
using test_support::send_now;
namespace fs = std::filesystem;

namespace {

/// Of a listening socket: `tcpi_unacked` connections are to be accepted, and `tcpi_sacked` is its backlog.
::tcp_info queue_of(const tcp_listener& l) {
    ::tcp_info info{};
    ::socklen_t size = sizeof info;
    REQUIRE(::getsockopt(l.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
    return info;
}
bool takes_no_more(const tcp_listener& l) {
    const ::tcp_info queue = queue_of(l);
    return queue.tcpi_unacked > queue.tcpi_sacked;
}

task<> read_once(tcp_stream& s, std::string& got) {
    std::array<char, 16> buffer{};
    auto n = co_await s.read(buffer);
    if (n) got.append(buffer.data(), *n);
}

} // namespace

TEST_CASE("an accept that loses its select keeps the connection for the next accept") {
    on_the_loop([]() -> task<> {
        tcp_listener l = listen_here();
        channel<int> other;
        std::vector<tcp_stream> accepted;
        std::vector<tcp_stream> clients;
        int lost_races = 0;
        for (int i = 0; i < 200; ++i) {
            auto h = spawn([&]() -> task<> {
                auto s = co_await select(l.accept(), other.recv());
                if (s.index() == 1) {
                    ++lost_races;
                    co_return;
                }
                REQUIRE(s.get<0>());
                accepted.push_back(std::move(*s.get<0>()));
            });
            co_await test_support::until_parked(h);
            for (int k = 0; k < i % 3; ++k) co_await this_task::yield();
            auto c = spawn(tcp_stream::connect, l.local_address().to_string());
            co_await this_task::yield();
            auto given = other.try_send(1);
            (void)given;
            auto r = co_await h.join();
            CHECK(r);
            auto client = co_await c.join();
            REQUIRE(client);
            clients.push_back(std::move(*client));
        }
        INFO(lost_races << " races were lost");
        CHECK(lost_races > 0);
        while (accepted.size() < clients.size()) {
            auto s = co_await with_timeout(5s, l.accept());
            REQUIRE(s);
            accepted.push_back(std::move(*s));
        }
        std::string log;
        for (std::size_t i = 0; i < clients.size(); ++i) send_now(clients[i], "x");
        for (auto& s : accepted) co_await read_once(s, log);
        CHECK(log.size() == 200);
    });
}

IO_TASK("a connection that nobody took goes to whoever waits, and one waits no longer than it has to") {
    tcp_listener l = listen_here();
    std::vector<tcp_stream> clients;
    auto connect = [&]() -> task<> {
        auto c = co_await tcp_stream::connect(l.local_address().to_string());
        REQUIRE(c);
        clients.push_back(std::move(*c));
    };
    co_await connect();
    auto first = co_await l.accept();
    REQUIRE(first);
    for (int i = 0; i < 5; ++i) co_await connect(); // the kernel accepts these by itself
    int served = 0;
    co_await with_group([&](task_group& g) -> task<> {
        for (int i = 0; i < 8; ++i)
            g.go([&]() -> task<> {
                auto s = co_await l.accept();
                CHECK(s);
                ++served;
            });
        while (served < 5) co_await this_task::yield();
        for (int i = 0; i < 3; ++i) co_await connect();
    });
    CHECK(served == 8);
}

IO_TASK("a listener's address is free as soon as it is gone, with the kernel accepting") {
    std::string address = "127.0.0.1:0";
    for (int i = 0; i < 20; ++i) {
        auto l = tcp_listener::bind(address);
        REQUIRE(l);
        address = l->local_address().to_string();
        auto waiting = spawn([&]() -> task<> { static_cast<void>(co_await l->accept()); });
        co_await test_support::until_parked(waiting);
        waiting.cancel();
        static_cast<void>(co_await waiting.join());
    }
}

TEST_CASE("without descriptors every accept that waits is told, and one is served when there are some") {
    // UBSan looks at an object's type with the help of a pipe, and reports a wrong type if it gets none.
#ifdef __has_feature
#if __has_feature(undefined_behavior_sanitizer)
    SKIP("UBSan does not do without descriptors");
#endif
#endif
    ::rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    on_the_loop([&]() -> task<> {
        tcp_listener l = listen_here();
        const descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const socket_address at = l.local_address();
        CHECK(::connect(client.get(), at.data(), at.size()) == 0);
        ::rlimit none = before;
        none.rlim_cur = 0;
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
        std::vector<join_handle<result<tcp_stream>>> waiting;
        for (int i = 0; i < 3; ++i)
            waiting.push_back(spawn([&]() -> task<result<tcp_stream>> { co_return co_await l.accept(); }));
        for (auto& w : waiting) {
            auto refused = co_await w.join();
            CHECK((!refused && refused.error() == std::errc::too_many_files_open));
        }
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
        auto served = co_await l.accept();
        CHECK(served);
    });
}

IO_TASK("a listener that does not accept ahead leaves what nobody asks for to the system") {
    tcp_listen_options one_by_one;
    one_by_one.accept_ahead = false;
    tcp_listener l = listen_here(one_by_one);
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 6; ++i) {
        auto c = co_await tcp_stream::connect(l.local_address().to_string());
        REQUIRE(c);
        clients.push_back(std::move(*c));
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
        auto s = co_await l.accept();
        REQUIRE(s);
        ::pollfd more{l.native_handle(), POLLIN, 0};
        CHECK(::poll(&more, 1, 0) == (i + 1 < clients.size() ? 1 : 0));
    }
}

TEST_CASE("connections that the kernel accepted and nobody took are closed with their listener") {
    on_the_loop([]() -> task<> {
        std::vector<tcp_stream> clients;
        {
            tcp_listener l = listen_here();
            for (int i = 0; i < 40; ++i) {
                auto c = co_await tcp_stream::connect(l.local_address().to_string());
                REQUIRE(c);
                clients.push_back(std::move(*c));
                if (i == 0) {
                    auto s = co_await l.accept();
                    CHECK(s);
                }
            }
        }
        for (tcp_stream& c : clients) {
            auto end = co_await c.receive();
            CHECK(!end);
        }
    });
}

TEST_CASE("an accept cancelled at any moment leaks no connection") {
    on_the_loop([]() -> task<> {
        tcp_listener l = listen_here();
        for (int i = 0; i < 300; ++i) {
            auto h = spawn([&]() -> task<bool> {
                auto s = co_await l.accept();
                co_return s.has_value();
            });
            if (i % 3 != 0) co_await test_support::until_parked(h);
            auto c = spawn(tcp_stream::connect, l.local_address().to_string());
            for (int k = 0; k < i % 4; ++k) co_await this_task::yield();
            h.cancel();
            auto taken = co_await h.join();
            if (!taken) {
                CHECK(taken.error() == errc::cancelled);
                auto s = co_await with_timeout(5s, l.accept());
                CHECK(s);
            }
            auto client = co_await c.join();
            CHECK(client);
        }
    });
}

TEST_CASE("a connect that is cancelled or timed out closes its socket") {
    on_the_loop([]() -> task<> {
        tcp_listen_options small;
        small.backlog = 0;
        tcp_listener l = listen_here(small);
        const std::string where = l.local_address().to_string();
        std::vector<tcp_stream> full; // nobody accepts: the next connects hang
        while (!takes_no_more(l)) {
            auto s = co_await tcp_stream::connect(where);
            REQUIRE(s);
            full.push_back(std::move(*s));
            while (queue_of(l).tcpi_unacked < full.size()) co_await this_task::yield();
        }
        const long open = descriptors();
        for (int i = 0; i < 300; ++i) {
            auto h = spawn(tcp_stream::connect, where);
            if (i % 3 != 0) co_await test_support::until_parked(h);
            for (int k = 0; k < i % 3; ++k) co_await this_task::yield();
            h.cancel();
            auto r = co_await h.join();
            CHECK(r.error() == errc::cancelled);
        }
        auto late = co_await with_timeout(1ms, tcp_stream::connect, where);
        CHECK(late.error() == errc::timed_out);
        CHECK(descriptors() == open);
    });
}
