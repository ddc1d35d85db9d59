#include "on_the_loop.hpp"
#include "read_all.hpp"

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::holds;
using test_support::on_the_loop;
using test_support::read_all;

TEST_CASE("a pipe carries more than it holds, ends with its writer, and breaks without a reader") {
    on_the_loop([]() -> task<> {
        auto p = byte_pipe::open();
        REQUIRE(p);
        const std::string text(300'000, 'p');
        std::string got;
        co_await with_group([&](task_group& g) -> task<> {
            g.go([&]() -> task<> {
                auto n = co_await p->writer.write_all(text);
                CHECK(holds(n, text.size()));
                auto more = co_await p->writer.write_all("a", "bc", "");
                CHECK(holds(more, std::size_t(3)));
                auto closed = co_await p->writer.close();
                CHECK(closed);
            });
            got = co_await read_all(p->reader);
        });
        CHECK(got.size() == text.size() + 3);
        CHECK(got.starts_with(text));
        CHECK(got.ends_with("abc"));
        auto broken = byte_pipe::open();
        REQUIRE(broken);
        auto closed = co_await broken->reader.close();
        CHECK(closed);
        auto n = co_await broken->writer.write("x");
        CHECK(n.error() == std::errc::broken_pipe); // and no signal
        auto shut = co_await broken->writer.shutdown_write();
        CHECK(shut.error() == std::errc::not_a_socket);
    });
}

TEST_CASE("a read from a pipe that is cancelled or loses a select takes nothing") {
    on_the_loop([]() -> task<> {
        auto p = byte_pipe::open();
        REQUIRE(p);
        std::array<char, 8> buffer{};
        auto late = co_await with_timeout(1ms, p->reader.read(buffer));
        CHECK(late.error() == errc::timed_out);
        auto n = co_await p->writer.write("kept");
        CHECK(n);
        auto got = co_await p->reader.read(buffer);
        CHECK(holds(got, std::size_t(4)));
    });
}

TEST_CASE("standard streams are read and written on descriptors of their own") {
    int in[2], out[2];
    REQUIRE(::pipe(in) == 0);
    REQUIRE(::pipe(out) == 0);
    const int old_in = ::dup(STDIN_FILENO), old_out = ::dup(STDOUT_FILENO);
    std::fflush(stdout);
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    CHECK(::write(in[1], "line\n", 5) == 5);
    const int code = levada::run([]() -> task<> {
        auto from = standard_input();
        auto to = standard_output();
        if (!from || !to) co_return;
        buffered lines(std::move(*from));
        auto line = co_await lines.read_line(100);
        if (line) std::ignore = co_await to->write_all(*line, "!\n");
    });
    ::dup2(old_in, STDIN_FILENO);
    ::dup2(old_out, STDOUT_FILENO);
    CHECK(code == 0);
    std::array<char, 16> got{};
    CHECK(::read(out[0], got.data(), got.size()) == 6);
    CHECK(std::string_view(got.data(), 6) == "line!\n");
    for (const int fd : {in[0], in[1], out[0], out[1], old_in, old_out}) ::close(fd);
}
