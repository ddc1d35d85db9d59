// Forwards TCP connections to another address, both ways, half-closes and all.

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

#include "server.hpp"

using namespace levada;
using namespace std::chrono_literals;

namespace {

constexpr const char* usage =
    R"(Usage: port_forward --to HOST:PORT --port N [--host A] [--drain SECONDS] [--gone SECONDS]

Forwards every connection to HOST:PORT. Prints "listening on HOST:PORT" once it listens.

  --to HOST:PORT   where to; a name is looked up for each connection
  --port N         where to listen; 0 lets the system choose
  --host A         an IPv4 or IPv6 address (127.0.0.1)
  --drain SECONDS  how long connections may go on at the end (5)
  --gone SECONDS   after how long a side that answers nothing at all is taken for gone (60)
  --help           print this, and exit

Ctrl-C (or SIGTERM) drains: it accepts no more, lets the connections end, cuts off those that take too long,
prints a summary, and exits.

Exit status: 0 stopped by a signal; 1 it could not listen; 2 bad arguments.
)";

constexpr auto connect_limit = 10s;

/// One way; ends the other side's input at the end of this one's.
task<> copy(tcp_stream& from, tcp_stream& to, std::atomic<std::uint64_t>& bytes) {
    for (;;) {
        auto piece = co_await from.receive();
        if (!piece && piece.error() == errc::closed) break;
        const io_buffer got = std::move(piece.value());
        co_await or_throw(to.write_all(got.bytes()));
        bytes += got.size();
    }
    co_await or_throw(to.shutdown_write());
}

task<> forward(tcp_stream client, std::string where, std::chrono::seconds gone_after,
               std::atomic<std::uint64_t>& bytes) {
    auto target = co_await with_timeout(connect_limit, tcp_stream::connect, where);
    if (!target) {
        std::fprintf(stderr, "port_forward: cannot connect to %s: %s\n", where.c_str(),
                     target.error().message().c_str());
        co_return;
    }
    static_cast<void>(target->set_keep_alive(gone_after));
    try {
        co_await with_group([&](task_group& g) -> task<> {
            g.go(copy, std::ref(client), std::ref(*target), std::ref(bytes));
            g.go(copy, std::ref(*target), std::ref(client), std::ref(bytes));
            co_return;
        });
    } catch (const std::system_error&) { // one side was reset: so is the other
    }
}

task<int> serve(server::settings set, std::string where) {
    auto signals = signal_channel({SIGINT, SIGTERM});
    auto listener = server::listen(set);
    if (!listener) co_return 1;
    std::atomic<std::uint64_t> bytes = 0; // sessions run on all cores
    auto serve_one = [&](tcp_stream client, cancel_token) {
        return forward(std::move(client), where, set.gone_after, bytes);
    };
    const server::outcome end = co_await server::serve(set, std::move(*listener), signals, serve_one);
    std::printf("forwarded %llu connections, %llu bytes, cut off %zu\n",
                static_cast<unsigned long long>(end.connections),
                static_cast<unsigned long long>(bytes.load()), end.cut_off);
    co_return 0;
}

} // namespace

int main(int argc, char** argv) try {
    server::settings set;
    set.program = "port_forward";
    std::string where;
    const auto set_target = [&where](const char* text) {
        where = text;
        const std::size_t colon = where.rfind(':');
        return colon != std::string::npos && colon != 0 &&
               server::number(std::string_view(where).substr(colon + 1), 65535).has_value();
    };
    if (const auto status = server::read_options(set, argc, argv, usage, {{"to", "HOST:PORT", set_target}}))
        return *status;
    if (where.empty()) {
        std::fprintf(stderr, "port_forward: where to? Say so, as in: --to example.org:80\n");
        return 2;
    }
    return levada::run(serve, std::move(set), std::move(where));
} catch (const std::exception& e) { // no io_uring here, or no memory
    std::fprintf(stderr, "port_forward: %s\n", e.what());
    return 1;
}
