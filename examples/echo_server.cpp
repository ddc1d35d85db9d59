// A TCP server with one task a connection that sends back what it gets, and drains when it is told to stop.

#include <getopt.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

constexpr const char* usage =
    R"(Usage: echo_server --port N [--host A] [--drain SECONDS]

Listens for TCP connections and sends every one of them back what it sends. Prints "listening on HOST:PORT" once
it does.

  --port N         where to listen; 0 lets the system choose
  --host A         an IPv4 or IPv6 address (127.0.0.1)
  --drain SECONDS  how long writes that have begun may take at the end (5)
  --help           print this, and exit

Ctrl-C (or SIGTERM) drains: it accepts no more, lets every connection finish what is being written, cuts off
those that take too long, prints a summary, and exits.

Exit status: 0 stopped by a signal; 1 it could not listen; 2 bad arguments.
)";

struct settings {
    std::string host = "127.0.0.1";
    std::optional<unsigned> port;
    std::chrono::seconds drain = 5s;

    [[nodiscard]] std::string address() const {
        const bool ipv6 = host.find(':') != std::string::npos;
        return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(*port);
    }
};

// Atomic, as sessions run on all cores.
struct totals {
    std::atomic<std::uint64_t> connections = 0;
    std::atomic<std::uint64_t> bytes = 0;
};

task<> session(tcp_stream client, cancel_token draining, totals& all) {
    std::string buffer(64 * 1024, '\0');
    for (;;) {
        auto next = co_await select_in_order(draining.done(), client.read(buffer));
        if (next.index() == 0) co_return;
        const auto& count = get<1>(next);
        if (!count || *count == 0) co_return; // the connection broke, or the client is done
        auto written = co_await client.write_all(std::string_view(buffer).substr(0, *count));
        if (!written) co_return;
        all.bytes += *count;
    }
}

void report(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "echo_server: a session failed: %s\n", e.what());
    }
}

// Owns the listener, so that nobody can connect any more once it returns.
task<> accept_until_signal(tcp_listener listener, recv_channel<int> signals, task_group& sessions,
                           cancel_token draining, totals& all) {
    for (;;) {
        auto next = co_await select_in_order(signals.recv(), listener.accept());
        if (next.index() == 0) co_return;
        if (auto& client = get<1>(next)) {
            ++all.connections;
            sessions.go(session, std::move(*client), draining, std::ref(all));
            continue;
        }
        // Out of descriptors, say. Some come free as sessions end: wait a little and go on.
        std::fprintf(stderr, "echo_server: cannot accept: %s\n", get<1>(next).error().message().c_str());
        auto paused = co_await select(signals.recv(), after(100ms));
        if (paused.index() == 0) co_return;
    }
}

task<int> serve(settings set) {
    auto signals = signal_channel({SIGINT, SIGTERM});
    auto listener = tcp_listener::bind(set.address());
    if (!listener) {
        std::fprintf(stderr, "echo_server: cannot listen on %s: %s; try another --port (0: any) or --host\n",
                     set.address().c_str(), listener.error().message().c_str());
        co_return 1;
    }
    std::printf("listening on %s\n", listener->local_address().to_string().c_str());
    std::fflush(stdout);

    totals all;
    std::size_t cut_off = 0;
    cancel_source draining;
    co_await with_group([&](task_group& sessions) -> task<> {
        sessions.on_failure(report); // one session that fails does not stop the others
        co_await accept_until_signal(std::move(*listener), signals, sessions, draining.token(), all);
        draining.cancel();
        auto ended = co_await select(sessions.wait(), after(set.drain));
        if (ended.index() == 1) {
            cut_off = sessions.size();
            sessions.cancel();
        }
    });
    std::printf("served %llu connections, echoed %llu bytes, cut off %zu\n",
                static_cast<unsigned long long>(all.connections.load()),
                static_cast<unsigned long long>(all.bytes.load()), cut_off);
    co_return 0;
}

int refuse(const std::string& why) {
    std::fprintf(stderr, "echo_server: %s\n", why.c_str());
    return 2;
}

std::optional<unsigned> number(std::string_view text, unsigned most) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > most) return {};
    return value;
}

} // namespace

int main(int argc, char** argv) try {
    settings set;
    const option options[] = {{"port", required_argument, nullptr, 'p'},
                              {"host", required_argument, nullptr, 'a'},
                              {"drain", required_argument, nullptr, 'd'},
                              {"help", no_argument, nullptr, 'h'},
                              {}};
    opterr = 0; // the messages are ours
    for (int o; (o = ::getopt_long_only(argc, argv, ":", options, nullptr)) != -1;) {
        const std::string given = argv[optind - 1];
        switch (o) {
            case 'p':
                set.port = number(optarg, 65535);
                if (!set.port)
                    return refuse("--port takes a number from 0 to 65535, not '" + std::string(optarg) + "'");
                break;
            case 'a': set.host = optarg; break;
            case 'd':
                if (const auto n = number(optarg, 3600)) set.drain = std::chrono::seconds(*n);
                else
                    return refuse("--drain takes a number of seconds from 0 to 3600, not '" +
                                  std::string(optarg) + "'");
                break;
            case 'h': std::fputs(usage, stdout); return 0;
            case ':': return refuse(given + " needs a value after it");
            default: return refuse("unknown option '" + given + "'; --help lists those there are");
        }
    }
    if (optind != argc)
        return refuse("'" + std::string(argv[optind]) + "' is no option; --help lists those there are");
    if (!set.port) return refuse("which port? Give one, as in: echo_server --port 7777 (0: any)");
    if (!socket_address::parse(set.address()))
        return refuse("'" + set.host + "' is no IPv4 or IPv6 address; give one, as in: --host 127.0.0.1");
    return levada::run(serve, std::move(set));
} catch (const std::exception& e) { // no io_uring here, or no memory
    std::fprintf(stderr, "echo_server: %s\n", e.what());
    return 1;
}
