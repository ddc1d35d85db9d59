#pragma once

// What the example servers share: options, listening, a task for each connection, and an orderly end.

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
#include <vector>

#include <levada/levada.hpp>

namespace server {

using namespace std::chrono_literals;

struct settings {
    std::string program;
    std::string host = "127.0.0.1";
    std::optional<unsigned> port;
    std::chrono::seconds drain = 5s;
    std::chrono::seconds gone_after = 60s;

    [[nodiscard]] std::string address() const {
        const bool ipv6 = host.find(':') != std::string::npos;
        return (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port.value_or(0));
    }
};

inline std::optional<unsigned> number(std::string_view text, unsigned most) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value > most) return {};
    return value;
}

/// An option besides --host, --port, --drain, --gone and --help.
struct extra_option {
    const char* name;
    const char* takes; // in words
    std::function<bool(const char*)> set;
};

/// --patience, after how long a peer that takes no bytes is given up.
inline extra_option patience_option(std::chrono::seconds& patience) {
    const auto set = [&patience](const char* text) {
        const auto n = number(text, 3600);
        if (n && *n != 0) patience = std::chrono::seconds(*n);
        return n && *n != 0;
    };
    return {"patience", "a number of seconds from 1 to 3600", set};
}

/// Reads the arguments; gives an exit status if the program ends here.
inline std::optional<int> read_options(settings& set, int argc, char** argv, const char* usage,
                                       const std::vector<extra_option>& extras = {}) {
    const auto refuse = [&](const std::string& why) {
        std::fprintf(stderr, "%s: %s\n", set.program.c_str(), why.c_str());
        return 2;
    };
    const auto takes = [&](const char* name, const char* what) {
        return refuse(std::string("--") + name + " takes " + what + ", not '" + optarg + "'");
    };
    constexpr int first_extra = 256;
    std::vector<option> options{{"port", required_argument, nullptr, 'p'},
                                {"host", required_argument, nullptr, 'a'},
                                {"drain", required_argument, nullptr, 'd'},
                                {"gone", required_argument, nullptr, 'g'},
                                {"help", no_argument, nullptr, 'h'}};
    for (std::size_t i = 0; i < extras.size(); ++i)
        options.push_back({extras[i].name, required_argument, nullptr, first_extra + static_cast<int>(i)});
    options.push_back({});
    opterr = 0; // the messages are ours
    for (int o; (o = ::getopt_long_only(argc, argv, ":", options.data(), nullptr)) != -1;) {
        const std::string given = argv[optind - 1];
        switch (o) {
            case 'p':
                set.port = number(optarg, 65535);
                if (!set.port) return takes("port", "a number from 0 to 65535");
                break;
            case 'a': set.host = optarg; break;
            case 'd':
                if (const auto n = number(optarg, 3600)) set.drain = std::chrono::seconds(*n);
                else return takes("drain", "a number of seconds from 0 to 3600");
                break;
            case 'g':
                if (const auto n = number(optarg, 3600); n && *n >= 2)
                    set.gone_after = std::chrono::seconds(*n);
                else return takes("gone", "a number of seconds from 2 to 3600");
                break;
            case 'h': std::fputs(usage, stdout); return 0;
            case ':': return refuse(given + " needs a value after it");
            case '?': return refuse("unknown option '" + given + "'; --help lists those there are");
            default: {
                const extra_option& extra = extras[static_cast<std::size_t>(o - first_extra)];
                if (!extra.set(optarg)) return takes(extra.name, extra.takes);
            }
        }
    }
    if (optind != argc)
        return refuse("'" + std::string(argv[optind]) + "' is no option; --help lists those there are");
    if (!set.port) return refuse("which port? Give one, as in: " + set.program + " --port 7777 (0: any)");
    if (!levada::socket_address::parse(set.address()))
        return refuse("'" + set.host + "' is no IPv4 or IPv6 address; give one, as in: --host 127.0.0.1");
    return {};
}

/// Listens, and says so on stdout; says why not on stderr.
inline std::optional<levada::tcp_listener> listen(const settings& set) {
    // A peer whose machine or network has gone says nothing, ever.
    levada::tcp_listen_options options;
    options.keep_alive = set.gone_after;
    options.accept_ahead = false; // when descriptors run out, clients wait in the system, and not here
    auto listener = levada::tcp_listener::bind(set.address(), options);
    if (!listener) {
        std::fprintf(stderr, "%s: cannot listen on %s: %s; try another --port (0: any) or --host\n",
                     set.program.c_str(), set.address().c_str(), listener.error().message().c_str());
        return {};
    }
    std::printf("listening on %s\n", listener->local_address().to_string().c_str());
    std::fflush(stdout);
    return std::move(*listener);
}

/// Ends a connection so that what was written last arrives. If the peer still sends when a connection is
/// closed, the system resets it, and the peer may lose what it has not read: so that is taken first, for some
/// time.
inline levada::task<> hang_up_gently(levada::tcp_stream& peer) {
    auto ended = co_await peer.shutdown_write();
    if (!ended) co_return;
    static_cast<void>(co_await levada::with_timeout(10s, [&peer]() -> levada::task<> {
        for (;;) {
            auto more = co_await peer.receive();
            if (!more) co_return;
        }
    }));
}

struct outcome {
    std::uint64_t connections = 0;
    std::size_t cut_off = 0; // connections that did not end in time
};

/// Owns the listener, so that it goes when this returns.
template <class Session>
levada::task<> accept_until_signal(const settings& set, levada::tcp_listener listener,
                                   levada::recv_channel<int> signals, levada::task_group& sessions,
                                   Session session, levada::cancel_token draining,
                                   std::uint64_t& connections) {
    for (;;) {
        auto next = co_await levada::select_in_order(signals.recv(), listener.accept());
        if (next.index() == 0) co_return;
        if (auto& client = get<1>(next)) {
            ++connections;
            sessions.go(session, std::move(*client), draining);
            continue;
        }
        // Out of descriptors, say. Some come free as sessions end: wait a little and go on.
        std::fprintf(stderr, "%s: cannot accept: %s\n", set.program.c_str(),
                     get<1>(next).error().message().c_str());
        auto paused = co_await levada::select(signals.recv(), levada::after(100ms));
        if (paused.index() == 0) co_return;
    }
}

/// Runs `session(tcp_stream, cancel_token draining)` for each connection, until one of the signals comes.
/// Then it accepts no more, cancels `draining`, and waits for the sessions; those that take longer than
/// `set.drain` are cut off.
template <class Session>
levada::task<outcome> serve(const settings& set, levada::tcp_listener listener,
                            levada::recv_channel<int> signals, Session session) {
    outcome all;
    levada::cancel_source draining;
    co_await levada::with_group([&](levada::task_group& sessions) -> levada::task<> {
        sessions.on_failure([&set](const std::exception_ptr& failure) { // it does not stop the others
            try {
                std::rethrow_exception(failure);
            } catch (const std::exception& e) {
                std::fprintf(stderr, "%s: a session failed: %s\n", set.program.c_str(), e.what());
            }
        });
        co_await accept_until_signal(set, std::move(listener), signals, sessions, session, draining.token(),
                                     all.connections);
        draining.cancel();
        auto ended = co_await levada::select(sessions.wait(), levada::after(set.drain));
        if (ended.index() == 1) {
            all.cut_off = sessions.size();
            sessions.cancel();
        }
    });
    co_return all;
}

} // namespace server
