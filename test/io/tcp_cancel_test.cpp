#include "on_the_loop.hpp"

#include <levada/cancel/source.hpp>
#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/io/tcp.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/or_cancelled.hpp>
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

task<std::string> the_rest(tcp_stream& s) {
    std::string all;
    std::array<char, 64> buffer{};
    for (;;) {
        auto n = co_await s.read(buffer);
        if (!n || *n == 0) break;
        all.append(buffer.data(), *n);
    }
    co_return all;
}

/// The bytes of round `i`, which no other has.
std::string bytes_of(int i) { return std::to_string(i) + ","; }

} // namespace

TEST_CASE("a read cancelled before, while parked, and with data in flight loses no bytes, 2,000 times") {
    on_the_loop([]() -> task<> {
        auto w = co_await connected();
        const long open = descriptors();
        std::string sent;
        std::string got;
        int cancelled = 0;
        for (int i = 0; i < 2000; ++i) {
            auto h = spawn(read_once, std::ref(w.near), std::ref(got));
            const std::string bytes = bytes_of(i);
            if (i % 5 == 0) { // before its first operation
                h.cancel();
                send_now(w.far, bytes);
            } else if (i % 5 == 1) { // parked, nothing there
                co_await test_support::until_parked(h);
                for (int k = 0; k < i % 3; ++k) co_await this_task::yield();
                h.cancel();
                send_now(w.far, bytes);
            } else if (i % 5 == 2) { // parked, and data comes just before
                co_await test_support::until_parked(h);
                for (int k = 0; k < i % 3; ++k) co_await this_task::yield();
                send_now(w.far, bytes);
                h.cancel();
            } else if (i % 5 == 3) { // completed, but not resumed yet
                co_await test_support::until_parked(h);
                send_now(w.far, bytes);
                co_await this_task::yield();
                h.cancel();
            } else { // data was there, the read has not begun
                send_now(w.far, bytes);
                h.cancel();
            }
            sent += bytes;
            auto r = co_await h.join();
            cancelled += r ? 0 : 1;
        }
        CHECK(cancelled > 0);
        CHECK(descriptors() == open);
        auto half = co_await w.far.shutdown_write();
        CHECK(half);
        got += co_await the_rest(w.near);
        CHECK((got == sent));
    });
}

TEST_CASE("a read that is the losing arm of a select loses no bytes, however close the race") {
    on_the_loop([]() -> task<> {
        auto w = co_await connected();
        channel<int> other;
        std::string sent;
        std::string got;
        int lost_races = 0;
        for (int i = 0; i < 2000; ++i) {
            auto h = spawn([&]() -> task<> {
                std::array<char, 16> buffer{};
                auto s = co_await select(w.near.read(buffer), other.recv());
                if (s.index() == 1) {
                    ++lost_races;
                    buffer.fill('#'); // the kernel has let go of it
                    co_return;
                }
                if (auto n = s.get<0>()) got.append(buffer.data(), *n);
            });
            const std::string bytes = bytes_of(i);
            co_await test_support::until_parked(h);
            for (int k = 0; k < i % 4; ++k) co_await this_task::yield();
            if (!h.done() && i % 2 == 0) send_now(w.far, bytes);
            auto given = other.try_send(i); // the other arm is claimed in the same step
            if (i % 2 == 1) send_now(w.far, bytes);
            (void)given;
            if (h.done() && i % 2 == 0) send_now(w.far, bytes);
            sent += bytes;
            auto r = co_await h.join();
            CHECK(r);
        }
        CHECK(lost_races > 0);
        auto half = co_await w.far.shutdown_write();
        CHECK(half);
        got += co_await the_rest(w.near);
        CHECK((got == sent));
    });
}

TEST_CASE("a read against a timer loses nothing when data arrives around the deadline") {
    on_the_loop([]() -> task<> {
        auto w = co_await connected();
        std::string sent;
        auto writer = spawn([&]() -> task<> {
            for (int i = 0; i < 1000; ++i) {
                const std::string bytes = bytes_of(i);
                sent += bytes;
                send_now(w.far, bytes);
                co_await sleep_for(std::chrono::microseconds(150 + i % 100));
            }
            auto half = co_await w.far.shutdown_write();
            CHECK(half);
        });
        std::string got;
        std::array<char, 16> buffer{};
        for (bool end = false; !end;) {
            auto s = co_await select(w.near.read(buffer), after(200us));
            if (s.index() == 1) continue;
            auto& n = s.get<0>();
            REQUIRE(n);
            end = *n == 0;
            got.append(buffer.data(), *n);
        }
        CHECK((got == sent));
        auto r = co_await writer.join();
        CHECK(r);
    });
}

TEST_CASE("a reset that a losing read has seen is still an error to the next read, not an end") {
    on_the_loop([]() -> task<> {
        int ends = 0;
        for (int i = 0; i < 100; ++i) {
            auto w = co_await connected();
            channel<int> other;
            auto h = spawn([&]() -> task<std::size_t> {
                std::array<char, 16> buffer{};
                auto s = co_await select(w.near.read(buffer), other.recv());
                if (s.index() == 0) CHECK(s.get<0>().error() == std::errc::connection_reset);
                co_return s.index();
            });
            co_await test_support::until_parked(h);
            co_await this_task::yield();
            co_await this_task::yield();
            const ::linger hard{1, 0};
            REQUIRE(::setsockopt(w.far.native_handle(), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0);
            {
                tcp_stream gone = std::move(w.far);
            }
            auto given = other.try_send(1);
            (void)given;
            auto winner = co_await h.join();
            if (!holds(winner, 1u)) continue;
            std::array<char, 16> buffer{};
            auto n = co_await w.near.read(buffer);
            ends += n ? 1 : 0;
        }
        CHECK(ends == 0);
    });
}

TEST_CASE("with_timeout, with_token and or_cancelled bound reads and accepts and take what is there") {
    on_the_loop([]() -> task<> {
        auto w = co_await connected();
        tcp_listener l = listen_here();
        std::array<char, 16> buffer{};
        const auto start = now();
        auto late = co_await with_timeout(2ms, w.near.read(buffer));
        CHECK(late.error() == errc::timed_out);
        auto nobody = co_await with_timeout(2ms, l.accept());
        CHECK(nobody.error() == errc::timed_out);
        CHECK(now() - start >= 4ms);
        send_now(w.far, "abc");
        auto there = co_await with_timeout(5s, w.near.read(buffer));
        CHECK(holds(there, 3u));
        cancel_source src;
        auto canceller = spawn([&]() -> task<> {
            co_await sleep_for(1ms);
            src.cancel(std::make_error_code(std::errc::timed_out));
        });
        auto by_token = co_await with_token(src.token(), w.near.read(buffer));
        CHECK(by_token.error() == std::errc::timed_out);
        auto at_once = co_await with_token(src.token(), l.accept());
        CHECK(at_once.error() == std::errc::timed_out);
        auto c = co_await canceller.join();
        CHECK(c);

        bool told = false;
        auto h = spawn([&]() -> task<> {
            auto n = co_await or_cancelled(w.near.read(buffer));
            told = !n.has_value();
            auto s = co_await or_cancelled(l.accept());
            FAIL_CHECK("the second operation did not unwind");
            (void)s;
        });
        co_await test_support::until_parked(h);
        h.cancel();
        auto r = co_await h.join();
        CHECK(r.error() == errc::cancelled);
        CHECK(told);
        send_now(w.far, "de");
        auto still = co_await or_cancelled(w.near.read(buffer));
        REQUIRE(still.has_value());
        CHECK(holds(*still, 2u));
    });
}

TEST_CASE("a cancelled parent waits for its child's read to be taken back before its buffer goes") {
    on_the_loop([]() -> task<> {
        auto w = co_await connected();
        for (int i = 0; i < 200; ++i) {
            auto parent = spawn([&]() -> task<> {
                std::vector<char> buffer(4096);
                auto child = spawn([&]() -> task<std::size_t> {
                    auto n = co_await w.near.read(std::span<char>(buffer));
                    co_return n.value_or(0);
                });
                auto n = co_await child.join();
                (void)n;
            });
            co_await test_support::until_parked(parent);
            co_await this_task::yield();
            if (i % 2 == 0) send_now(w.far, "x");
            parent.cancel();
            auto r = co_await parent.join();
            if (!r) CHECK(r.error() == errc::cancelled);
        }
    });
}
