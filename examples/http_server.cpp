// A server of static files, and a route that answers JSON: HTTP/1.1 with keep-alive, pipelining, ranges and
// conditional requests. Its parts are in http/.

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <utility>

#include <levada/levada.hpp>

#include "http/session.hpp"
#include "server.hpp"

using namespace levada;
using namespace std::chrono_literals;

namespace {

constexpr const char* usage =
    R"(Usage: http_server --root DIR --port N [--host A] [--drain SECONDS] [--gone SECONDS]
                   [--header-timeout SECONDS]

Serves the files below DIR by HTTP/1.1; a directory by its index.html. GET /api/status answers JSON. Prints
"listening on HOST:PORT" once it listens.

  --root DIR                what to serve
  --port N                  where to listen; 0 lets the system choose
  --host A                  an IPv4 or IPv6 address (127.0.0.1)
  --drain SECONDS           how long requests that have begun may take at the end (5)
  --gone SECONDS            after how long a client that answers nothing at all is taken for gone (60)
  --header-timeout SECONDS  how long a client may take to send a request (10)
  --help                    print this, and exit

Ctrl-C (or SIGTERM) drains: it accepts no more, answers the requests that it has, prints a summary, and exits.

Exit status: 0 stopped by a signal; 1 it could not listen; 2 bad arguments.
)";

task<int> serve(server::settings set, http::configuration config) {
    auto signals = signal_channel({SIGINT, SIGTERM});
    auto listener = server::listen(set);
    if (!listener) co_return 1;
    http::site s{std::move(config), {}, {}};
    auto serve_one = [&s](tcp_stream client, cancel_token draining) {
        return http::session::serve(s, std::move(client), std::move(draining));
    };
    const server::outcome end = co_await server::serve(set, std::move(*listener), signals, serve_one);
    std::printf("served %llu requests on %llu connections, refused %llu, cut off %zu\n",
                static_cast<unsigned long long>(s.all.requests),
                static_cast<unsigned long long>(end.connections),
                static_cast<unsigned long long>(s.all.failures), end.cut_off);
    co_return 0;
}

} // namespace

int main(int argc, char** argv) try {
    server::settings set;
    set.program = "http_server";
    http::configuration config;
    const auto set_root = [&config](const char* text) {
        config.root = text;
        return std::filesystem::is_directory(config.root);
    };
    const auto set_limit = [&config](const char* text) {
        const auto n = server::number(text, 3600);
        if (n) config.header_limit = std::chrono::seconds(*n);
        return n.has_value();
    };
    if (const auto status =
            server::read_options(set, argc, argv, usage,
                                 {{"root", "a directory", set_root},
                                  {"header-timeout", "a number of seconds from 0 to 3600", set_limit}}))
        return *status;
    if (config.root.empty()) {
        std::fprintf(stderr, "http_server: which files? Give a directory, as in: --root .\n");
        return 2;
    }
    return levada::run(serve, std::move(set), std::move(config));
} catch (const std::exception& e) { // no io_uring here, or no memory
    std::fprintf(stderr, "http_server: %s\n", e.what());
    return 1;
}
