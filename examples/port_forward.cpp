// Forwards TCP connections to another address, both ways: half-closes as half-closes, resets as resets.

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
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
constexpr auto delivery_limit = 5s;

/// One of the two sides of a connection. It resets its peer when it is closed, also by a cancel or the end of
/// the process, unless both ways have come to their end before: so nothing that was cut off looks whole.
struct side {
    explicit side(tcp_stream s) : stream(std::move(s)) { reset_when_closed(true); }
    void reset_when_closed(bool on) const noexcept {
        const linger how{on, 0};
        static_cast<void>(::setsockopt(stream.native_handle(), SOL_SOCKET, SO_LINGER, &how, sizeof how));
    }
    /// Whether nothing can come or go any more. (One that has only ended its output is not gone.)
    [[nodiscard]] bool is_gone() const noexcept {
        tcp_info info{};
        socklen_t size = sizeof info;
        return ::getsockopt(stream.native_handle(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
               info.tcpi_state == TCP_CLOSE;
    }

    tcp_stream stream;
    mutex writing;
    std::atomic<bool> has_ended = false;     // all that it says, and its end, has been passed on
    std::atomic<bool> takes_no_more = false; // a write has failed
    bool was_reset = false;                  // and was told why; guarded by `writing`
};

[[noreturn]] void cut_off() { throw std::system_error(std::make_error_code(std::errc::connection_reset)); }

task<> discard(tcp_stream& from) {
    while (auto piece = co_await from.receive()) {
    }
}

/// One way: passes on what comes, and its end. Throws if the connection is cut off, which ends the other way
/// too. If `to` takes no more, the other way goes on, as there may be an answer on it; what comes here
/// meanwhile is of no use, but whoever sends it may have to be rid of it before they read that answer.
task<> copy(side& from, side& to, std::chrono::seconds gone_after, std::atomic<std::uint64_t>& bytes) {
    for (;;) {
        auto piece = co_await from.stream.receive();
        if (!piece && piece.error() == errc::closed) break;
        const io_buffer got = std::move(piece.value());
        auto guard = co_await to.writing.lock();
        auto written = co_await to.stream.write_all(got.bytes());
        if (written) {
            bytes += got.size();
            continue;
        }
        to.was_reset = written.error() != std::errc::broken_pipe;
        to.takes_no_more = true;
        break;
    }
    if (to.takes_no_more) {
        if (to.has_ended) cut_off();
        auto sent_all = co_await with_timeout(gone_after, discard, std::ref(from.stream));
        if (!sent_all) cut_off();
        co_return;
    }
    // The system tells of a reset only once. If it told a write, the end that is read here is none.
    if (from.is_gone()) {
        auto guard = co_await from.writing.lock();
        if (from.was_reset) cut_off();
    }
    auto told = co_await to.stream.shutdown_write();
    if (!told) to.takes_no_more = true;
    from.has_ended = true;
    if (from.takes_no_more) cut_off();
}

/// Waits until the peer's system has all that was written, which a reset would drop.
task<> delivered(const side& s) {
    const time_point limit = now() + delivery_limit;
    while (!s.is_gone() && now() < limit) {
        int waiting = 0;
        if (::ioctl(s.stream.native_handle(), SIOCOUTQ, &waiting) != 0 || waiting == 0) co_return;
        co_await sleep_for(5ms);
    }
}

task<> forward(tcp_stream client, std::string where, std::chrono::seconds gone_after,
               std::atomic<std::uint64_t>& bytes) {
    side near(std::move(client));
    auto target = co_await with_timeout(connect_limit, tcp_stream::connect, where);
    if (!target) {
        std::fprintf(stderr, "port_forward: cannot connect to %s: %s\n", where.c_str(),
                     target.error().message().c_str());
        co_return;
    }
    side far(std::move(*target));
    static_cast<void>(far.stream.set_keep_alive(gone_after));
    bool whole = false;
    try {
        co_await with_group([&](task_group& g) -> task<> {
            g.go(copy, std::ref(near), std::ref(far), gone_after, std::ref(bytes));
            g.go(copy, std::ref(far), std::ref(near), gone_after, std::ref(bytes));
            co_return;
        });
        whole = !near.takes_no_more && !far.takes_no_more;
    } catch (const std::system_error&) { // one side was cut off: so is the other
    }
    if (whole) {
        near.reset_when_closed(false);
        far.reset_when_closed(false);
    } else {
        co_await delivered(near);
        co_await delivered(far);
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
