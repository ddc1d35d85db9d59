#include "peers.hpp"

#include <chrono>

using namespace tls_test;
using namespace std::chrono_literals;
using test_support::holds;
using test_support::until_parked;

namespace {

constexpr std::size_t much = 8 << 20;

std::string pattern(std::size_t size, unsigned seed) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>((seed = seed * 1'664'525 + 1'013'904'223) >> 24);
    return text;
}

struct expecting {
    test_support::expectations* all;
    template <class T>
    void operator()(const T& held, std::source_location where = std::source_location::current()) const {
        all->expect(held, where);
    }
};

task<> send_in_pieces(tls_stream& to, const std::string& text, expecting expect) {
    for (std::size_t at = 0; at < text.size(); at += 1 << 20) {
        auto n = co_await to.write_all(std::string_view(text).substr(at, 1 << 20));
        expect(n);
    }
    auto ended = co_await to.shutdown_write();
    expect(ended);
}

task<> receive_all(tls_stream& from, const std::string& text, expecting expect) {
    std::array<char, 40'000> b;
    std::size_t got = 0;
    for (;;) {
        auto n = co_await from.read(std::span<char>(b));
        expect(n);
        if (!n || *n == 0) break;
        expect(std::string_view(text).substr(got, *n) == std::string_view(b.data(), *n));
        got += *n;
    }
    expect(got == text.size());
}

/// Each read is cancelled, before it begins, soon after, or later.
task<> receive_all_with_cancels(tls_stream& from, const std::string& text, expecting expect) {
    std::array<char, 40'000> b;
    std::size_t got = 0;
    for (int turn = 0;; ++turn) {
        auto reading =
            spawn([&]() -> task<result<std::size_t>> { co_return co_await from.read(std::span<char>(b)); });
        for (int i = 0; i < turn % 5; ++i) co_await this_task::yield();
        if (turn % 3 == 0) co_await sleep_for(100us); // let the loop receive
        reading.cancel();
        auto n = co_await reading.join();
        if (!n && n.error() == errc::cancelled) continue;
        expect(n);
        if (!n || *n == 0) break;
        expect(std::string_view(text).substr(got, *n) == std::string_view(b.data(), *n));
        got += *n;
    }
    expect(got == text.size());
}

enum class reading { plainly, with_cancels };

task<> both_ways(reading how, expecting expect) {
    ends c = co_await connected(here().client(), here().server());
    set_buffers(c.near.socket(), 64 << 10);
    set_buffers(c.far.socket(), 64 << 10);
    const std::string there = pattern(much, 1), back = pattern(much, 2);
    const auto receive = how == reading::plainly ? &receive_all : &receive_all_with_cancels;
    co_await with_group([&](task_group& g) -> task<> {
        g.go(send_in_pieces, std::ref(c.near), std::cref(there), expect);
        g.go(send_in_pieces, std::ref(c.far), std::cref(back), expect);
        g.go(receive, std::ref(c.near), std::cref(back), expect);
        g.go(receive, std::ref(c.far), std::cref(there), expect);
        co_return;
    });
}

void on_one_loop(reading how) {
    test_support::expectations all;
    on_the_loop([&]() -> task<> { return both_ways(how, {&all}); });
}

void on_four_eager_loops(reading how) {
    static_cast<void>(here());
    const test_support::with_loops unset;
    test_support::expectations all;
    runtime rt({.loops = 4, .eager = true});
    CHECK(rt.run([&]() -> task<> { return both_ways(how, {&all}); }) == 0);
}

/// Writes until the buffers are full and the writer waits for room.
join_handle<result<std::size_t>> fill(tls_stream& to, const std::string& text) {
    return spawn([](tls_stream& s, const std::string& t) { return s.write_all(t); }, std::ref(to),
                 std::cref(text));
}

} // namespace

TEST_CASE("both directions full do not stand still") { on_one_loop(reading::plainly); }
TEST_CASE("both directions full do not stand still, on four eager loops") {
    on_four_eager_loops(reading::plainly);
}
TEST_CASE("cancelled reads neither cut a writer nor lose a byte") { on_one_loop(reading::with_cancels); }
TEST_CASE("cancelled reads neither cut a writer nor lose a byte, on four eager loops") {
    on_four_eager_loops(reading::with_cancels);
}

TLS_TASK("a limit around a read is not seen by the writer beside it") {
    ends c = co_await connected(here().client(), here().server());
    const std::string text = pattern(much, 7);
    auto writing = fill(c.near, text);
    co_await until_full(c.near.socket());
    std::array<char, 8> b;
    for (int i = 0; i < 3; ++i) {
        auto late = co_await with_timeout(1ms, [&] { return c.near.read(std::span<char>(b)); });
        CHECK(late.error() == errc::timed_out);
    }
    CHECK_FALSE(writing.done());
    auto receiving = spawn([&]() -> task<> {
        test_support::expectations all;
        co_await receive_all(c.far, text, {&all});
    });
    auto written = co_await writing.join();
    CHECK(holds(written, text.size()));
    auto ended = co_await c.near.shutdown_write();
    CHECK(ended);
    auto received = co_await receiving.join();
    CHECK(received);
}

TLS_TASK("a read that is cancelled beside a writer that waits for room leaves the connection whole") {
    ends c = co_await connected(here().client(), here().server());
    const std::string text = pattern(much, 3);
    auto writing = fill(c.near, text);
    co_await until_full(c.near.socket());
    for (int i = 0; i < 3; ++i) {
        auto reading = spawn([&]() -> task<result<std::size_t>> {
            std::array<char, 8> b;
            co_return co_await c.near.read(std::span<char>(b));
        });
        co_await until_parked(reading);
        reading.cancel();
        auto r = co_await reading.join();
        CHECK(r.error() == errc::cancelled);
    }
    auto sent = co_await c.far.write_all("still here");
    CHECK(sent);
    std::array<char, 64> b;
    auto n = co_await c.near.read(std::span<char>(b)); // though the writer waits
    CHECK(holds(n, std::size_t(10)));
    CHECK_FALSE(writing.done());
    std::string got(text.size(), '\0');
    for (std::size_t at = 0; at < got.size();) {
        auto part = co_await c.far.read(std::span(got).subspan(at));
        REQUIRE(part);
        REQUIRE(*part != 0);
        at += *part;
    }
    CHECK(got == text);
    auto written = co_await writing.join();
    CHECK(holds(written, text.size()));
}

TLS_TASK("a stream whose write was cut short is never ended as if it were whole, and is read on") {
    ends c = co_await connected(here().client(), here().server());
    const std::string text = pattern(much, 4);
    auto writing = fill(c.near, text);
    co_await until_full(c.near.socket());
    writing.cancel();
    auto cut = co_await writing.join();
    CHECK(cut.error() == errc::cancelled);
    auto again = co_await c.near.write_all("x");
    CHECK(again.error() == std::errc::broken_pipe);
    auto ended = co_await c.near.shutdown_write();
    CHECK(ended.error() == std::errc::broken_pipe);

    auto sent = co_await c.far.write_all("read on");
    CHECK(sent);
    std::array<char, 65536> b;
    auto n = co_await c.near.read(std::span<char>(b));
    CHECK(holds(n, std::size_t(7)));
    auto closed = co_await c.near.close();
    CHECK(closed);
    std::size_t got = 0;
    for (;;) {
        auto part = co_await c.far.read(std::span<char>(b));
        if (!part) {
            CHECK((part.error() == std::errc::connection_aborted ||
                   part.error() == std::errc::connection_reset));
            break;
        }
        REQUIRE(*part != 0);
        got += *part;
    }
    CHECK(got < text.size());
}

TLS_TASK("a write that is cancelled while another writes has no effect") {
    ends c = co_await connected(here().client(), here().server());
    const std::string text = pattern(much, 5);
    auto first = fill(c.near, text);
    co_await until_full(c.near.socket());
    const std::string other = "never sent";
    auto second = fill(c.near, other);
    co_await until_parked(second);
    second.cancel();
    auto cancelled = co_await second.join();
    CHECK(cancelled.error() == errc::cancelled);
    auto receiving = spawn([&]() -> task<> {
        test_support::expectations all;
        co_await receive_all(c.far, text, {&all});
    });
    auto written = co_await first.join();
    CHECK(holds(written, text.size()));
    auto ended = co_await c.near.shutdown_write();
    CHECK(ended);
    auto received = co_await receiving.join();
    CHECK(received);
}

TLS_TASK("an end is told once, whoever asks again, and writes after it fail") {
    ends c = co_await connected(here().client(), here().server());
    auto sent = co_await c.far.write_all("for a reader who comes later");
    CHECK(sent);
    for (int i = 0; i < 3; ++i) {
        auto ended = co_await c.near.shutdown_write();
        CHECK(ended);
    }
    auto late = co_await c.near.write_all("x");
    CHECK(late.error() == std::errc::broken_pipe);
    std::array<char, 64> b;
    auto n = co_await c.near.read(std::span<char>(b));
    CHECK(holds(n, std::size_t(28)));
    for (int i = 0; i < 2; ++i) {
        auto end = co_await c.far.read(std::span<char>(b));
        CHECK(holds(end, std::size_t(0)));
    }
}

TLS_TASK("an end that is cancelled before there was room for it may be asked for again") {
    ends c = co_await connected(here().client(), here().server());
    const std::string text(10'000, 'x');
    std::size_t sent = 0;
    while (has_room(c.near.socket())) { // for the last write there still was some
        auto written = co_await c.near.write_all(text);
        CHECK(written);
        sent += text.size();
    }
    set_buffer(c.near.socket().native_handle(), SO_SNDBUF, 1);
    CHECK_FALSE(has_room(c.near.socket()));
    const auto end = [](tls_stream& s) { return s.shutdown_write(); };
    auto first = spawn(end, std::ref(c.near));
    co_await until_parked(first);
    first.cancel();
    auto cancelled = co_await first.join();
    // The peer receives ahead, so room may have come first: then the end was sent, and is not sent again.
    CHECK((cancelled.has_value() || cancelled.error() == errc::cancelled));
    auto again = spawn(end, std::ref(c.near));
    std::array<char, 10'000> b;
    std::size_t got = 0;
    for (;;) {
        auto n = co_await c.far.read(std::span<char>(b));
        REQUIRE(n);
        if (*n == 0) break;
        got += *n;
    }
    CHECK(got == sent);
    auto ended = co_await again.join();
    CHECK(ended);
}

TLS_TASK("a stream may move while it is read and written") {
    ends c = co_await connected(here().client(), here().server());
    const std::string text = pattern(much, 6);
    auto writing = fill(c.near, text);
    std::array<char, 8> b;
    auto reading = spawn([](tls_stream& s, std::span<char> to) { return s.read(to); }, std::ref(c.near),
                         std::span<char>(b));
    co_await until_parked(writing);
    co_await until_parked(reading);
    tls_stream moved = std::move(c.near);
    auto sent = co_await c.far.write_all("hi");
    CHECK(sent);
    auto n = co_await reading.join();
    CHECK(holds(n, std::size_t(2)));
    writing.cancel();
    auto cut = co_await writing.join();
    CHECK(cut.error() == errc::cancelled);
}
