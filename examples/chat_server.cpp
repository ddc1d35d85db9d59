// A chat room: what one says, all hear. One task owns the list of members; those who do not keep up are
// dropped, or miss some, as one likes.

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <levada/levada.hpp>

#include "server.hpp"

using namespace levada;
using namespace std::chrono_literals;

namespace {

constexpr const char* usage =
    R"(Usage: chat_server --port N [--host A] [--when-slow drop|skip] [--drain SECONDS] [--gone SECONDS]

A chat for telnet or nc: the first line is your name, every other one goes to all. /who lists the members, /quit
leaves. Prints "listening on HOST:PORT" once it listens.

  --port N             where to listen; 0 lets the system choose
  --host A             an IPv4 or IPv6 address (127.0.0.1)
  --when-slow POLICY   what happens to a member who does not read: drop (it is disconnected, as at first), or
                       skip (it misses lines, and is told how many)
  --drain SECONDS      how long members may take to read the last lines at the end (5)
  --gone SECONDS       after how long a member that answers nothing at all is taken for gone (60)
  --help               print this, and exit

Ctrl-C (or SIGTERM) says good-bye to all, prints a summary, and exits.

Exit status: 0 stopped by a signal; 1 it could not listen; 2 bad arguments.
)";

constexpr std::size_t longest_line = 1000;
constexpr std::size_t longest_name = 32;
constexpr std::size_t lines_behind = 64; // that a member may be
constexpr auto name_limit = 60s;

enum class policy { drop, skip };

using text = std::shared_ptr<const std::string>;

struct member {
    channel<text> lines;
    cancel_source ends; // its session
    std::uint64_t missed = 0;
};

/// What a session asks of the room. The room's answer to a joining one: false if the name is taken.
struct message {
    enum class kind { join, leave, say, who };
    message(kind k, std::string n, std::string l = {}) : what(k), name(std::move(n)), line(std::move(l)) {}
    kind what;
    std::string name;
    std::string line;
    channel<text> lines = nil;
    cancel_source ends;
    channel<bool> answer{1};
};

class room {
public:
    explicit room(policy when_slow) noexcept : when_slow_(when_slow) {}

    task<> run(recv_channel<message> in) {
        while (auto m = co_await in.recv()) {
            switch (m->what) {
                case message::kind::join: join(*m); break;
                case message::kind::leave: leave(m->name); break;
                case message::kind::say: say(m->name + ": " + m->line); break;
                case message::kind::who: who(m->name); break;
            }
        }
        for (auto& [name, m] : members_) m.lines.close(); // what is in them is still sent
    }
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_; }
    [[nodiscard]] std::uint64_t said() const noexcept { return said_; }

private:
    void join(message& m) {
        const bool free = !members_.contains(m.name);
        if (free) {
            say("* " + m.name + " has joined");
            members_.emplace(m.name, member{m.lines, std::move(m.ends)});
        }
        static_cast<void>(m.answer.try_send(bool(free)));
    }
    void leave(const std::string& name) {
        if (members_.erase(name) != 0) say("* " + name + " has left");
    }
    void who(const std::string& name) {
        std::string all = "* here:";
        for (const auto& [other, m] : members_) all += " " + other;
        if (const auto at = members_.find(name); at != members_.end())
            static_cast<void>(at->second.lines.try_send(std::make_shared<const std::string>(all + "\n")));
    }
    void say(std::string line) {
        line += '\n';
        ++said_;
        const auto shared = std::make_shared<const std::string>(std::move(line));
        for (auto& [name, m] : members_) {
            if (m.missed != 0) {
                const std::string note = "* you have missed " + std::to_string(m.missed) + " lines\n";
                if (m.lines.try_send(std::make_shared<const std::string>(note))) m.missed = 0;
            }
            text copy = shared;
            if (m.missed == 0 && m.lines.try_send(std::move(copy))) continue;
            if (when_slow_ == policy::skip) ++m.missed;
            else if (m.ends.cancel()) ++dropped_; // it unwinds, and leaves
        }
    }

    policy when_slow_;
    std::map<std::string, member, std::less<>> members_;
    std::uint64_t dropped_ = 0;
    std::uint64_t said_ = 0;
};

task<> write_lines(tcp_stream& to, recv_channel<text> lines) {
    while (auto line = co_await lines.recv()) {
        auto written = co_await to.write_all(**line);
        if (!written) co_return;
    }
    static_cast<void>(co_await to.shutdown_write()); // the room is closed
}

// Passes on what a member types, until it leaves.
task<> read_lines(buffered<tcp_stream>& in, const std::string& name, send_channel<message> out) {
    for (;;) {
        auto line = co_await in.read_line(longest_line);
        if (!line || *line == "/quit") co_return;
        if (line->empty()) continue;
        const auto what = *line == "/who" ? message::kind::who : message::kind::say;
        message m(what, name, std::move(*line));
        auto sent = co_await out.send(std::move(m));
        if (!sent) co_return;
    }
}

task<> chat(buffered<tcp_stream>& in, const std::string& name, send_channel<message> out,
            recv_channel<text> lines) {
    co_await with_group([&](task_group& g) -> task<> {
        g.go([&]() -> task<> {
            co_await write_lines(in.stream(), lines);
            g.cancel();
        });
        co_await read_lines(in, name, out);
        g.cancel();
    });
}

task<> serve_member(tcp_stream client, send_channel<message> out) {
    buffered in(std::move(client), 256);
    co_await or_throw(in.stream().write_all("your name? "));
    auto name = co_await with_timeout(name_limit, [&in] { return in.read_line(longest_name); });
    if (!name) co_return;
    if (name->empty() || name->find_first_of(" \t*/:") != std::string::npos) {
        co_await or_throw(in.stream().write_all("* a name is one word without * / :\n"));
        co_return;
    }
    const channel<text> lines(lines_behind);
    message m(message::kind::join, *name);
    m.lines = lines;
    const cancel_token ended = m.ends.token();
    const channel<bool> answer = m.answer;
    if (auto sent = co_await out.send(std::move(m)); !sent) co_return;
    auto joined = co_await answer.recv();
    if (!joined || !*joined) {
        co_await or_throw(in.stream().write_all("* that name is taken\n"));
        co_return;
    }
    static_cast<void>(co_await with_token(ended, chat, std::ref(in), std::cref(*name), out, lines));
    message bye(message::kind::leave, *name);
    static_cast<void>(co_await out.send(std::move(bye)));
}

task<int> serve(server::settings set, policy when_slow) {
    auto signals = signal_channel({SIGINT, SIGTERM});
    auto listener = server::listen(set);
    if (!listener) co_return 1;
    room all(when_slow);
    server::outcome end;
    channel<message> to_room(64);
    co_await with_group([&](task_group& g) -> task<> {
        g.go(&room::run, &all, recv_channel<message>(to_room));
        auto serve_one = [to_room](tcp_stream client, cancel_token draining) -> task<> {
            // At the end the room closes, and with it every member's lines.
            const cancel_callback closes(draining, [to_room]() mutable noexcept { to_room.close(); });
            try {
                co_await serve_member(std::move(client), to_room);
            } catch (const std::system_error&) { // it has hung up
            }
        };
        end = co_await server::serve(set, std::move(*listener), signals, serve_one);
        to_room.close();
    });
    std::printf("%llu members came, %llu lines went to all, dropped %llu, cut off %zu\n",
                static_cast<unsigned long long>(end.connections), static_cast<unsigned long long>(all.said()),
                static_cast<unsigned long long>(all.dropped()), end.cut_off);
    co_return 0;
}

} // namespace

int main(int argc, char** argv) try {
    server::settings set;
    set.program = "chat_server";
    policy when_slow = policy::drop;
    const auto set_policy = [&when_slow](const char* given) {
        const std::string_view name = given;
        when_slow = name == "skip" ? policy::skip : policy::drop;
        return name == "skip" || name == "drop";
    };
    if (const auto status =
            server::read_options(set, argc, argv, usage, {{"when-slow", "drop or skip", set_policy}}))
        return *status;
    return levada::run(serve, std::move(set), when_slow);
} catch (const std::exception& e) { // no io_uring here, or no memory
    std::fprintf(stderr, "chat_server: %s\n", e.what());
    return 1;
}
