// A TCP server with one task a connection that sends back what it gets, and drains when it is told to stop.

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <levada/levada.hpp>

#include "server.hpp"

using namespace levada;

namespace {

constexpr const char* usage =
    R"(Usage: echo_server --port N [--host A] [--drain SECONDS] [--gone SECONDS]

Listens for TCP connections and sends every one of them back what it sends. Prints "listening on HOST:PORT" once
it does.

  --port N         where to listen; 0 lets the system choose
  --host A         an IPv4 or IPv6 address (127.0.0.1)
  --drain SECONDS  how long writes that have begun may take at the end (5)
  --gone SECONDS   after how long a client that answers nothing at all is taken for gone (60)
  --help           print this, and exit

Ctrl-C (or SIGTERM) drains: it accepts no more, lets every connection finish what is being written, cuts off
those that take too long, prints a summary, and exits.

Exit status: 0 stopped by a signal; 1 it could not listen; 2 bad arguments.
)";

task<> session(tcp_stream client, cancel_token draining, std::atomic<std::uint64_t>& echoed) {
    for (;;) {
        auto next = co_await select_in_order(draining.done(), client.receive());
        if (next.index() == 0) co_return;
        const auto& piece = get<1>(next);
        if (!piece) co_return; // the connection broke, or the client is done
        auto written = co_await client.write_all(piece->bytes());
        if (!written) co_return;
        echoed += piece->size();
    }
}

task<int> serve(server::settings set) {
    auto signals = signal_channel({SIGINT, SIGTERM});
    auto listener = server::listen(set);
    if (!listener) co_return 1;
    std::atomic<std::uint64_t> echoed = 0; // sessions run on all cores
    auto serve_one = [&echoed](tcp_stream client, cancel_token draining) {
        return session(std::move(client), std::move(draining), echoed);
    };
    const server::outcome all = co_await server::serve(set, std::move(*listener), signals, serve_one);
    std::printf("served %llu connections, echoed %llu bytes, cut off %zu\n",
                static_cast<unsigned long long>(all.connections),
                static_cast<unsigned long long>(echoed.load()), all.cut_off);
    co_return 0;
}

} // namespace

int main(int argc, char** argv) try {
    server::settings set;
    set.program = "echo_server";
    if (const auto status = server::read_options(set, argc, argv, usage)) return *status;
    return levada::run(serve, std::move(set));
} catch (const std::exception& e) { // no io_uring here, or no memory
    std::fprintf(stderr, "echo_server: %s\n", e.what());
    return 1;
}
