// Servers and clients over TCP and Unix sockets that connect, talk, are cancelled, reset and cut off at
// random, for as long as one likes: in the end no frame and no descriptor is left, every answer that came
// whole was right, and the memory is what it was after the first rounds.
//
// Exit status: 0 all right, 1 something was wrong or stayed, 2 usage.

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

#include "soaking.hpp"

using namespace levada;
using namespace std::chrono_literals;
using soaking::dice;
using soaking::number;
namespace fs = std::filesystem;

namespace {

// Sanitizers keep what was freed for a while.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif

struct options {
    long seconds = 5;
    long loops = 4;
    long clients = 32;
    std::uint64_t seed = 1;
};

struct totals {
    std::atomic<long> connections = 0;
    std::atomic<long> answers = 0;
    std::atomic<long> cut = 0;
    std::atomic<long> wrong = 0;
};

long descriptors() {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
}
long resident_kb() {
    long pages = 0, resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    return resident * 4;
}

// Every line comes back.
template <class Stream>
task<> session(Stream client) {
    buffered in(std::move(client), 512);
    while (auto line = co_await in.read_line(100'000)) {
        auto sent = co_await with_timeout(100ms, in.stream().write_all(*line, "\n"));
        if (!sent) co_return;
    }
}

template <class Listener>
task<> serve(Listener& listener) {
    co_await with_group([&](task_group& sessions) -> task<> {
        sessions.on_failure([](const std::exception_ptr&) {});
        for (;;) {
            auto next = co_await select(listener.accept(), after(50ms));
            if (next.index() == 1) continue;
            auto& client = get<0>(next);
            if (client)
                sessions.go([](auto stream) { return session(std::move(stream)); }, std::move(*client));
        }
    });
}

void reset_on_close(int fd) {
    const linger now{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

template <class Stream>
task<> talk(Stream stream, dice& d, totals& all) {
    buffered in(stream, 512);
    for (std::uint32_t i = 0, n = 1 + d.below(10); i < n; ++i) {
        std::string line(1 + (d.below(10) == 0 ? d.below(60'000) : d.below(200)),
                         static_cast<char>('a' + d.below(26)));
        line += std::to_string(i);
        auto sent = co_await stream.write_all(line, "\n");
        if (!sent) co_return;
        if (d.below(20) == 0) co_return; // without the answer
        auto answer = co_await in.read_line(100'000);
        if (!answer) co_return;
        ++all.answers;
        if (*answer != line) ++all.wrong;
    }
    if (d.below(3) == 0) reset_on_close(stream.native_handle());
    else if (d.below(2) == 0) static_cast<void>(co_await stream.shutdown_write());
}

task<> one_connection(bool over_tcp, const std::string& tcp, const std::string& path, dice& d, totals& all) {
    if (over_tcp) {
        auto s = co_await tcp_stream::connect(tcp);
        if (!s) co_return;
        ++all.connections;
        co_await talk(std::move(*s), d, all);
    } else {
        auto s = co_await unix_stream::connect(path);
        if (!s) co_return;
        ++all.connections;
        co_await talk(std::move(*s), d, all);
    }
}

task<> client(std::string tcp, std::string path, std::uint64_t seed, time_point until, totals& all) {
    dice d(seed);
    while (now() < until) {
        const auto patience = std::chrono::microseconds(d.below(4) == 0 ? d.below(3000) : 1'000'000);
        auto done = co_await with_timeout(patience, one_connection, d.below(2) == 0, std::cref(tcp),
                                          std::cref(path), std::ref(d), std::ref(all));
        if (!done) ++all.cut;
    }
}

task<> one_round(const options& o, std::uint64_t seed, std::chrono::milliseconds length, totals& all) {
    auto tcp = tcp_listener::bind("127.0.0.1:0");
    const std::string path = "@levada-soak-" + std::to_string(::getpid());
    auto local = unix_listener::bind(path);
    if (!tcp || !local) {
        ++all.wrong;
        co_return;
    }
    const std::string address = tcp->local_address().to_string();
    const time_point until = now() + length;
    co_await with_group([&](task_group& servers) -> task<> {
        servers.go([&] { return serve(*tcp); });
        servers.go([&] { return serve(*local); });
        co_await with_group([&](task_group& clients) -> task<> {
            for (long i = 0; i < o.clients; ++i)
                clients.go(client, address, path, seed * 1000 + static_cast<std::uint64_t>(i), until,
                           std::ref(all));
            co_return;
        });
        servers.cancel(); // in the middle of what they still do
    });
}

constexpr const char* usage = "Usage: io_soak [--seconds N] [--loops N] [--clients N] [--seed N]\n"
                              "  --seconds N  how long (5)\n"
                              "  --loops N    event loops, each on a thread (4)\n"
                              "  --clients N  that connect again and again (32)\n"
                              "  --seed N     of the first round (1)\n";

int soak(const options& o) {
    const auto begin = std::chrono::steady_clock::now();
    const auto end = begin + std::chrono::seconds(o.seconds);
    auto told = begin;
    totals all;
    long rounds = 0, open = 0, memory = 0;
    constexpr long warm = 3; // rounds
    for (std::uint64_t seed = o.seed;; ++seed, ++rounds) {
        const auto at = std::chrono::steady_clock::now();
        if (rounds >= warm && at >= end) break;
        if (at - told >= 10s) {
            std::fprintf(stderr, "io_soak: %ld rounds, %ld connections, %ld answers, %ld cut off; %ld KB\n",
                         rounds, all.connections.load(), all.answers.load(), all.cut.load(), resident_kb());
            told = at;
        }
        {
            runtime rt({.loops = static_cast<std::size_t>(o.loops), .eager = true});
            rt.run([&]() -> task<> { return one_round(o, seed, 300ms, all); });
        }
        if (frame_pool::live() != 0) {
            std::fprintf(stderr, "io_soak: seed %lu: %zu frames are left\n", static_cast<unsigned long>(seed),
                         frame_pool::live());
            return 1;
        }
        if (rounds + 1 == warm) {
            open = descriptors();
            memory = resident_kb();
        }
    }
    const long more = descriptors() - open, grown = resident_kb() - memory;
    std::printf("%ld rounds, %ld connections, %ld answers, %ld cut off, %ld wrong; descriptors %+ld, memory "
                "%+ld KB\n",
                rounds, all.connections.load(), all.answers.load(), all.cut.load(), all.wrong.load(), more,
                grown);
    constexpr long noise_kb = 16 * 1024; // allocators keep some
    return all.wrong == 0 && more == 0 && (sanitized || grown < noise_kb) ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    options o;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--help") {
            std::fputs(usage, stdout);
            return 0;
        }
        long value = 0;
        if (i + 1 == argc || !number(argv[++i], value)) {
            std::fputs(usage, stderr);
            return 2;
        }
        if (name == "--seconds") {
            o.seconds = value;
        } else if (name == "--loops" && value != 0) {
            o.loops = value;
        } else if (name == "--clients") {
            o.clients = value;
        } else if (name == "--seed") {
            o.seed = static_cast<std::uint64_t>(value);
        } else {
            std::fputs(usage, stderr);
            return 2;
        }
    }
    return soak(o);
}
