#include "on_the_loop.hpp"

#include <levada/cancel/source.hpp>
#include <levada/core/scope.hpp>
#include <levada/core/spawn.hpp>
#include <levada/core/this_task.hpp>
#include <levada/io/tcp.hpp>
#include <levada/sync/channel.hpp>
#include <levada/sync/select.hpp>
#include <levada/sync/timer.hpp>

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
using test_support::descriptors;
using test_support::holds;
using test_support::listen_here;
using test_support::on_the_loop;
using test_support::send_now;
namespace fs = std::filesystem;

namespace {

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
        bool hangs = false;
        for (int i = 0; i < 10 && !hangs; ++i) {
            auto s = co_await with_timeout(50ms, tcp_stream::connect, where);
            if (s) full.push_back(std::move(*s));
            else hangs = s.error() == errc::timed_out;
        }
        REQUIRE(hangs);
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
