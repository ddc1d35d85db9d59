// A chat room: what one says, all hear. One task owns the list of members, and puts lines into their
// outboxes; members wait there for those who are behind. Those who do not read at all are dropped, or miss
// some, as one likes.

#include <atomic>
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
#include <system_error>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

#include "outbox.hpp"
#include "printable.hpp"
#include "server.hpp"

using namespace levada;
using namespace std::chrono_literals;

namespace {

constexpr const char* usage =
    R"(Usage: chat_server --port N [--host A] [--when-slow drop|skip] [--patience SECONDS] [--drain SECONDS]
                   [--gone SECONDS]

A chat for telnet or nc: the first line is your name, every other one goes to all. /who lists the members, /quit
leaves. Prints "listening on HOST:PORT" once it listens.

  --port N             where to listen; 0 lets the system choose
  --host A             an IPv4 or IPv6 address (127.0.0.1)
  --when-slow POLICY   what happens to a member with 256 KB to come: drop (the others wait for it, and it is
                       disconnected if it takes nothing for some time, as at first), or skip (it misses lines, and
                       is told how many)
  --patience SECONDS   that time (10)
  --drain SECONDS      how long members may take to read the last lines at the end (5)
  --gone SECONDS       after how long a member that answers nothing at all is taken for gone (60)
  --help               print this, and exit

Ctrl-C (or SIGTERM) says good-bye to all, prints a summary, and exits.

Exit status: 0 stopped by a signal; 1 it could not listen; 2 bad arguments.
)";

constexpr std::size_t longest_line = 1000;
constexpr std::size_t longest_name = 32;
constexpr std::size_t most_pending = 256 << 10; // bytes that a member may be behind
constexpr auto name_limit = 60s;

enum class policy { drop, skip };

using box = std::shared_ptr<server::outbox>;

struct member {
    box lines;
    std::uint64_t missed = 0;
};

/// What a session asks of the room.
struct message {
    enum class kind { join, leave, say, who };
    message(kind k, std::string n, std::string l = {}) : what(k), name(std::move(n)), line(std::move(l)) {}

    struct outcome {
        outcome() = default;   // no aggregate: g++ 12 destroys those twice in awaited expressions
        bool joined = false;   // false if the name is taken
        std::vector<box> full; // of members who are behind: wait for them before you say more
    };

    kind what;
    std::string name;
    std::string line;
    box lines;
    channel<outcome> answer{1};
};

class room {
public:
    explicit room(policy when_slow) noexcept : when_slow_(when_slow) {}

    task<> run(recv_channel<message> in) {
        while (auto m = co_await in.recv()) {
            message::outcome out;
            switch (m->what) {
                case message::kind::join: out.joined = join(*m, out); break;
                case message::kind::leave: leave(m->name, out); break;
                case message::kind::say: say(m->name + ": " + m->line, out); break;
                case message::kind::who: who(m->name, out); break;
            }
            static_cast<void>(m->answer.try_send(std::move(out)));
        }
        for (auto& [name, m] : members_) m.lines->finish(); // what is in them is still sent
    }
    [[nodiscard]] std::uint64_t said() const noexcept { return said_; }

private:
    bool join(message& m, message::outcome& out) {
        if (members_.contains(m.name)) return false;
        say("* " + m.name + " has joined", out);
        members_.emplace(m.name, member{m.lines, 0});
        return true;
    }
    void leave(const std::string& name, message::outcome& out) {
        if (members_.erase(name) != 0) say("* " + name + " has left", out);
    }
    void who(const std::string& name, message::outcome& out) {
        std::string all = "* here:";
        for (const auto& [other, m] : members_) all += " " + other;
        if (const auto at = members_.find(name); at != members_.end()) give(at->second, all + "\n", out);
    }
    void say(std::string line, message::outcome& out) {
        line += '\n';
        ++said_;
        const auto shared = std::make_shared<const std::string>(std::move(line));
        for (auto& [name, m] : members_) {
            if (m.missed != 0) {
                const std::string note = "* you have missed " + std::to_string(m.missed) + " lines\n";
                if (give(m, note, out)) m.missed = 0;
            }
            if (m.missed != 0 || !give(m, shared, out)) ++m.missed;
        }
    }
    // False if the member misses it.
    bool give(member& to, server::payload line, message::outcome& out) {
        if (when_slow_ == policy::skip) return to.lines->try_push(std::move(line));
        to.lines->push(std::move(line));
        if (to.lines->full()) out.full.push_back(to.lines);
        return true;
    }
    bool give(member& to, std::string line, message::outcome& out) {
        return give(to, std::make_shared<const std::string>(std::move(line)), out);
    }

    policy when_slow_;
    std::map<std::string, member, std::less<>> members_;
    std::uint64_t said_ = 0;
};

struct house {
    channel<message> to_room{64};
    std::chrono::seconds patience{};
    std::atomic<std::uint64_t> dropped = 0; // sessions run on all cores
};

/// Asks the room, and gives its answer.
task<result<message::outcome>> ask(const channel<message>& to_room, message m) {
    const channel<message::outcome> answer = m.answer;
    auto sent = co_await to_room.send(std::move(m));
    if (!sent) co_return fail(sent.error());
    auto out = co_await answer.recv();
    co_return out;
}

// So long as a member is behind, nobody says more.
task<> wait_for(const std::vector<box>& full) {
    for (const box& b : full) co_await b->room();
}

// Passes on what a member types, until it leaves. Gives what it is told then.
task<std::string> read_lines(buffered<tcp_stream>& in, const std::string& name, house& all) {
    for (;;) {
        auto line = co_await in.read_line(longest_line + 1);
        if (!line && line.error() == std::errc::message_size) {
            std::string why = "* a line has at most " + std::to_string(longest_line) + " bytes: good-bye\n";
            co_return why;
        }
        if (!line || *line == "/quit") co_return std::string();
        if (line->empty()) continue;
        const auto what = *line == "/who" ? message::kind::who : message::kind::say;
        message m(what, name, printable(*line));
        auto heard = co_await ask(all.to_room, std::move(m));
        if (!heard) co_return std::string();
        co_await wait_for(heard->full);
    }
}

// Sends what others say until the member leaves, is dropped, or the room closes. True if it was told why it
// has to go.
task<bool> chat(buffered<tcp_stream>& in, const std::string& name, house& all, const box& lines,
                const std::vector<box>& full) {
    bool told = false;
    co_await with_group([&](task_group& g) -> task<> {
        g.go([&]() -> task<> {
            const auto end = co_await lines->send_to(in.stream());
            if (end == server::outbox::end::too_slow) ++all.dropped;
            g.cancel();
        });
        co_await wait_for(full);
        std::string last_words = co_await read_lines(in, name, all);
        told = !last_words.empty();
        if (!told) lines->close();
        else lines->push(std::make_shared<const std::string>(std::move(last_words)));
        lines->finish();
    });
    co_return told;
}

// Tells a client why before it hangs up.
task<> refuse(tcp_stream& client, std::string_view why) {
    co_await or_throw(client.write_all(why));
    co_await server::hang_up_gently(client);
}

task<> serve_member(buffered<tcp_stream>& in, house& all) {
    co_await or_throw(in.stream().write_all("your name? "));
    auto name = co_await with_timeout(name_limit, [&in] { return in.read_line(longest_name); });
    if (!name && name.error() == errc::timed_out) co_return co_await refuse(in.stream(), "* no name came\n");
    if (!name && name.error() != std::errc::message_size) co_return;
    if (!name || name->empty() || name->find_first_of(" \t*/:") != std::string::npos ||
        *name != printable(*name))
        co_return co_await refuse(in.stream(), "* a name is one word without * / :, of at most 30 bytes\n");
    const box lines = std::make_shared<server::outbox>(most_pending, all.patience);
    const defer closes([&lines]() noexcept { lines->close(); });
    message m(message::kind::join, *name);
    m.lines = lines;
    auto joined = co_await ask(all.to_room, std::move(m));
    if (!joined) co_return;
    if (!joined->joined) co_return co_await refuse(in.stream(), "* that name is taken\n");
    const bool told = co_await chat(in, *name, all, lines, joined->full);
    lines->close();
    message bye(message::kind::leave, *name);
    static_cast<void>(co_await ask(all.to_room, std::move(bye)));
    if (told) co_await server::hang_up_gently(in.stream());
}

task<int> serve(server::settings set, policy when_slow, std::chrono::seconds patience) {
    auto signals = signal_channel({SIGINT, SIGTERM});
    auto listener = server::listen(set);
    if (!listener) co_return 1;
    room members(when_slow);
    house all;
    all.patience = patience;
    server::outcome end;
    co_await with_group([&](task_group& g) -> task<> {
        g.go(&room::run, &members, recv_channel<message>(all.to_room));
        auto serve_one = [&all](tcp_stream client, cancel_token draining) -> task<> {
            // At the end the room closes, and with it every member's outbox.
            const cancel_callback closes(draining, [&all]() noexcept { all.to_room.close(); });
            buffered in(std::move(client), 256);
            try {
                co_await serve_member(in, all);
            } catch (const std::system_error&) { // it has hung up
            }
        };
        end = co_await server::serve(set, std::move(*listener), signals, serve_one);
        all.to_room.close();
    });
    std::printf("%llu members came, %llu lines went to all, dropped %llu, cut off %zu\n",
                static_cast<unsigned long long>(end.connections),
                static_cast<unsigned long long>(members.said()), static_cast<unsigned long long>(all.dropped),
                end.cut_off);
    co_return 0;
}

} // namespace

int main(int argc, char** argv) try {
    server::settings set;
    set.program = "chat_server";
    policy when_slow = policy::drop;
    std::chrono::seconds patience(10);
    const auto set_policy = [&when_slow](const char* given) {
        const std::string_view name = given;
        when_slow = name == "skip" ? policy::skip : policy::drop;
        return name == "skip" || name == "drop";
    };
    if (const auto status = server::read_options(
            set, argc, argv, usage,
            {{"when-slow", "drop or skip", set_policy}, server::patience_option(patience)}))
        return *status;
    return levada::run(serve, std::move(set), when_slow, patience);
} catch (const std::exception& e) { // no io_uring here, or no memory
    std::fprintf(stderr, "chat_server: %s\n", e.what());
    return 1;
}
