// A store of keys and values that speaks Redis's protocol. Each shard belongs to one task, which is reached
// by a channel, so that nothing is locked; publishing goes through a task of its own.

#include <algorithm>
#include <atomic>
#include <cctype>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

#include "resp.hpp"
#include "server.hpp"

using namespace levada;
using namespace std::chrono_literals;

namespace {

constexpr const char* usage =
    R"(Usage: kv_server --port N [--host A] [--shards N] [--drain SECONDS] [--gone SECONDS]

Keeps keys and values in memory, for clients of Redis: PING ECHO GET SET (EX PX NX XX) DEL EXISTS INCR EXPIRE TTL
MGET MSET INFO SUBSCRIBE UNSUBSCRIBE PUBLISH QUIT. Prints "listening on HOST:PORT" once it listens.

  --port N         where to listen; 0 lets the system choose
  --host A         an IPv4 or IPv6 address (127.0.0.1)
  --shards N       tasks that share the keys, 1 to 64 (1)
  --drain SECONDS  how long commands that have begun may take at the end (5)
  --gone SECONDS   after how long a client that answers nothing at all is taken for gone (60)
  --help           print this, and exit

Ctrl-C (or SIGTERM) drains: it accepts no more, answers what has been read, prints a summary, and exits.

Exit status: 0 stopped by a signal; 1 it could not listen; 2 bad arguments.
)";

constexpr std::size_t most_pending_messages = 1024; // for a subscriber who does not read
constexpr std::size_t most_kept = 1024;             // bytes of a buffer for what comes next
constexpr auto write_limit = 10s;                   // for a client that does not read its replies

constexpr std::string_view not_an_integer = "ERR value is not an integer or out of range";

using arguments = std::vector<std::string_view>;

struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>()(s); }
};

bool is(std::string_view given, std::string_view name) {
    return given.size() == name.size() &&
           std::equal(given.begin(), given.end(), name.begin(),
                      [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; });
}
bool integer(std::string_view text, std::int64_t& n) {
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    return ec == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// Keys and values of one task.
class shard {
public:
    /// Does one command on one key, and adds its reply.
    void execute(const arguments& a, std::string& out) {
        now_ = levada::now();
        const std::string_view name = a[0];
        if (is(name, "GET")) get(a[1], out);
        else if (is(name, "SET")) set(a, out);
        else if (is(name, "INCR")) incr(a[1], out);
        else if (is(name, "TTL")) ttl(a[1], out);
        else if (is(name, "EXPIRE")) expire(a, out);
        else if (is(name, "DEL")) resp::number(out, remove(a[1]));
        else resp::number(out, find(a[1]) != map_.end()); // EXISTS
    }
    [[nodiscard]] std::size_t size() const noexcept { return map_.size(); }
    /// Removes a part of what has expired; called now and then.
    void sweep() {
        now_ = levada::now();
        while (!expiries_.empty() && expiries_.begin()->first <= now_) {
            const std::string key = std::move(expiries_.begin()->second);
            expiries_.erase(expiries_.begin());
            static_cast<void>(find(key)); // removes it, if it is still due
        }
    }

private:
    struct entry {
        std::string value;
        time_point expires = time_point::max();
    };
    using map = std::unordered_map<std::string, entry, text_hash, std::equal_to<>>;

    map::iterator find(std::string_view key) {
        const auto at = map_.find(key);
        if (at == map_.end() || at->second.expires > now_) return at;
        map_.erase(at);
        return map_.end();
    }
    std::int64_t remove(std::string_view key) {
        const auto at = find(key);
        if (at == map_.end()) return 0;
        map_.erase(at);
        return 1;
    }
    void get(std::string_view key, std::string& out) {
        const auto at = find(key);
        if (at == map_.end()) resp::null(out);
        else resp::bulk(out, at->second.value);
    }
    void set(const arguments& a, std::string& out) {
        bool if_missing = false, if_there = false;
        time_point expires = time_point::max();
        for (std::size_t i = 3; i < a.size(); ++i) {
            if (is(a[i], "NX")) {
                if_missing = true;
            } else if (is(a[i], "XX")) {
                if_there = true;
            } else if ((is(a[i], "EX") || is(a[i], "PX")) && i + 1 < a.size() &&
                       expires == time_point::max()) {
                std::int64_t n = 0;
                if (!integer(a[i + 1], n)) return resp::error(out, not_an_integer);
                const bool seconds = is(a[i], "EX");
                constexpr std::int64_t most = std::int64_t(1) << 40; // ms
                if (n <= 0 || n > (seconds ? most / 1000 : most))
                    return resp::error(out, "ERR invalid expire time in 'set' command");
                expires = now_ + std::chrono::milliseconds(seconds ? n * 1000 : n);
                ++i;
            } else {
                return resp::error(out, "ERR syntax error");
            }
        }
        if (if_missing && if_there) return resp::error(out, "ERR syntax error");
        auto at = find(a[1]);
        if (at == map_.end() ? if_there : if_missing) return resp::null(out);
        if (at == map_.end()) at = map_.emplace(std::string(a[1]), entry()).first;
        at->second.value = a[2];
        note_expiry(*at, expires);
        resp::simple(out, "OK");
    }
    void incr(std::string_view key, std::string& out) {
        auto at = find(key);
        if (at == map_.end()) at = map_.emplace(std::string(key), entry{"0", time_point::max()}).first;
        std::int64_t n = 0;
        if (!integer(at->second.value, n) || __builtin_add_overflow(n, 1, &n))
            return resp::error(out, not_an_integer);
        at->second.value = std::to_string(n);
        resp::number(out, n);
    }
    void ttl(std::string_view key, std::string& out) {
        const auto at = find(key);
        if (at == map_.end()) return resp::number(out, -2);
        if (at->second.expires == time_point::max()) return resp::number(out, -1);
        resp::number(out, std::chrono::round<std::chrono::seconds>(at->second.expires - now_).count());
    }
    void expire(const arguments& a, std::string& out) {
        std::int64_t n = 0;
        if (!integer(a[2], n) || n > (std::int64_t(1) << 30)) return resp::error(out, not_an_integer);
        const auto at = find(a[1]);
        if (at == map_.end()) return resp::number(out, 0);
        if (n <= 0) map_.erase(at);
        else note_expiry(*at, now_ + std::chrono::seconds(n));
        resp::number(out, 1);
    }
    void note_expiry(map::value_type& at, time_point expires) {
        at.second.expires = expires;
        if (expires != time_point::max()) expiries_.emplace(expires, at.first);
    }

    map map_;
    std::multimap<time_point, std::string> expiries_; // as they were set: a later one may have come since
    time_point now_;
};

/// Commands for one shard, and where their replies go. It lies in the session, which waits.
struct request {
    std::vector<arguments> commands;  // the first `count` of them; the others' memory is kept
    std::vector<std::string> replies; // as many
    std::size_t count = 0;
    channel<std::size_t> done = nil; // gets the number of keys there

    void put(std::initializer_list<std::string_view> a) { put(a.begin(), a.end()); }
    template <class I>
    void put(I from, I to) {
        if (count == commands.size()) {
            commands.emplace_back();
            replies.emplace_back();
        }
        commands[count++].assign(from, to);
    }
};

task<> keep_shard(recv_channel<request*> in) {
    shard keys;
    const auto ticks = ticker(100ms);
    for (;;) {
        auto next = co_await select_in_order(in.recv(), ticks.recv());
        if (next.index() == 1) {
            keys.sweep();
            continue;
        }
        if (!get<0>(next)) co_return;
        request& r = **get<0>(next);
        for (std::size_t i = 0; i < r.count; ++i) keys.execute(r.commands[i], r.replies[i]);
        static_cast<void>(r.done.try_send(keys.size()));
    }
}

/// A subscriber's side: what is to be sent to it.
using outbox = channel<std::string>;

struct subscription {
    enum class kind { subscribe, unsubscribe, publish };
    subscription(kind k, std::string_view channel_name, std::string_view text, outbox o = nil)
        : what(k), name(channel_name), message(text), to(std::move(o)) {}

    kind what;
    std::string name;    // of the channel
    std::string message; // to publish
    outbox to;           // the subscriber
    channel<std::int64_t> answer = nil;
};

/// Knows who subscribes to what. A subscriber who does not keep up is dropped: its outbox is closed.
task<> keep_subscriptions(recv_channel<subscription> in) {
    std::map<std::string, std::vector<outbox>, std::less<>> all;
    while (auto s = co_await in.recv()) {
        std::vector<outbox>& there = all[s->name];
        std::int64_t n = 0;
        const auto same = [&](const outbox& o) { return o == s->to; };
        switch (s->what) {
            case subscription::kind::subscribe:
                n = std::none_of(there.begin(), there.end(), same);
                if (n != 0) there.push_back(s->to);
                break;
            case subscription::kind::unsubscribe:
                n = static_cast<std::int64_t>(std::erase_if(there, same));
                break;
            case subscription::kind::publish: {
                std::string text;
                resp::array(text, 3);
                resp::bulk(text, "message");
                resp::bulk(text, s->name);
                resp::bulk(text, s->message);
                std::erase_if(there, [&](outbox& o) {
                    std::string copy = text;
                    if (o.try_send(std::move(copy))) {
                        ++n;
                        return false;
                    }
                    o.close(std::make_error_code(std::errc::no_buffer_space));
                    return true;
                });
            }
        }
        if (there.empty()) all.erase(s->name);
        static_cast<void>(s->answer.try_send(n));
    }
}

/// The commands of one client that are under way.
struct gathered {
    explicit gathered(std::size_t shards) : requests(shards) {}
    std::vector<request> requests;  // one for each shard, which refers to it
    std::vector<std::size_t> order; // the shard of each command
    std::vector<std::size_t> next;
};

struct store {
    std::vector<channel<request*>> shards;
    channel<subscription> subscriptions{16};
    std::atomic<std::uint64_t> connections = 0; // sessions run on all cores
    std::atomic<std::uint64_t> clients = 0;
    time_point began = levada::now();

    [[nodiscard]] std::size_t shard_of(std::string_view key) const noexcept {
        return shards.size() == 1 ? 0 : text_hash()(key) % shards.size();
    }
    /// Clients that idle hold none: they lend them to each other, with the memory that commands have grown.
    [[nodiscard]] std::unique_ptr<gathered> borrow() {
        const std::lock_guard guard(lock_);
        if (spare_.empty()) return std::make_unique<gathered>(shards.size());
        auto g = std::move(spare_.back());
        spare_.pop_back();
        return g;
    }
    void give_back(std::unique_ptr<gathered> g) {
        constexpr std::size_t most_spare = 64, most_commands = 1024;
        if (g->order.capacity() > most_commands) return;
        const std::lock_guard guard(lock_);
        if (spare_.size() < most_spare) spare_.push_back(std::move(g));
    }

private:
    std::mutex lock_; // guards the spare ones
    std::vector<std::unique_ptr<gathered>> spare_;
};

/// One client.
class session {
public:
    session(store& all, tcp_stream client) : all_(all), in_(std::move(client), 256) {
        ++all_.connections;
        ++all_.clients;
    }
    ~session() { --all_.clients; }
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    // All that an idle connection holds is in this frame, and a small buffer.
    static task<> serve(store& with, tcp_stream client, cancel_token draining) {
        session self(with, std::move(client));
        while (self.open_) {
            co_await self.answer_all();
            co_await self.flush();
            if (!self.open_) break;
            self.in_.shrink();
            if (self.gathered_) with.give_back(std::move(self.gathered_));
            // Waits for bytes, and meanwhile sends what others publish.
            auto next =
                co_await select_in_order(draining.done(), self.in_.stream().receive(), self.outbox_.recv());
            if (next.index() == 0) break;
            if (next.index() == 1) {
                auto& piece = get<1>(next);
                if (!piece) break;
                self.in_.put(std::move(*piece), self.parser_.wants(self.in_.peek().size()));
                continue;
            }
            auto& message = get<2>(next);
            if (!message) break; // too slow
            self.out_ += *message;
            while (auto more = self.outbox_.try_recv()) self.out_ += *more;
        }
        for (const std::string& name : self.names_)
            static_cast<void>(co_await self.tell(subscription::kind::unsubscribe, name));
    }

private:
    /// Sends what there is; a client that does not take it is given up.
    task<> flush() {
        if (out_.empty()) co_return;
        auto written = co_await with_timeout(write_limit, in_.stream().write_all(out_));
        out_.clear();
        if (out_.capacity() > most_kept) out_.shrink_to_fit();
        if (!written) open_ = false;
    }

    // Answers the commands that have come whole. Those on single keys are gathered, and go to their shards
    // together.
    task<> answer_all() {
        std::size_t used = 0;
        while (open_ && used < in_.peek().size()) {
            const resp::parsed p = parser_.next(in_.peek().substr(used));
            if (p == resp::parsed::part) break;
            if (p == resp::parsed::wrong) {
                co_await ask_shards();
                resp::error(out_, std::string("ERR Protocol error: ") + parser_.error());
                open_ = false;
                break;
            }
            used += parser_.size();
            if (!parser_.arguments().empty()) co_await answer(parser_.arguments());
        }
        co_await ask_shards();
        in_.consume(used);
    }

    struct command {
        const char* name;
        std::size_t least, most; // arguments, its name among them
        bool on_key;
    };
    static constexpr std::size_t any = ~std::size_t(0);
    static constexpr command commands[] = {
        {"GET", 2, 2, true},       {"SET", 3, any, true},        {"INCR", 2, 2, true},
        {"EXPIRE", 3, 3, true},    {"TTL", 2, 2, true},          {"DEL", 2, any, false},
        {"EXISTS", 2, any, false}, {"MGET", 2, any, false},      {"MSET", 3, any, false},
        {"PING", 1, 2, false},     {"ECHO", 2, 2, false},        {"INFO", 1, any, false},
        {"PUBLISH", 3, 3, false},  {"SUBSCRIBE", 2, any, false}, {"UNSUBSCRIBE", 1, any, false},
        {"QUIT", 1, any, false},   {"COMMAND", 1, any, false},   {"CONFIG", 2, any, false},
        {"SELECT", 2, 2, false},   {"CLIENT", 2, any, false},
    };

    task<> answer(const arguments& a) {
        const auto* known = std::find_if(std::begin(commands), std::end(commands),
                                         [&](const command& c) { return is(a[0], c.name); });
        if (known == std::end(commands)) {
            co_await ask_shards();
            std::string text = "ERR unknown command '";
            text += a[0].substr(0, 128);
            std::replace_if(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
            resp::error(out_, text + "'");
            co_return;
        }
        const std::string_view name = known->name;
        if (a.size() < known->least || a.size() > known->most || (name == "MSET" && a.size() % 2 == 0)) {
            co_await ask_shards();
            std::string lower(name);
            std::transform(lower.begin(), lower.end(), lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
            resp::error(out_, "ERR wrong number of arguments for '" + lower + "' command");
        } else if (subscribed_ != 0 && name != "SUBSCRIBE" && name != "UNSUBSCRIBE" && name != "PING" &&
                   name != "QUIT") {
            resp::error(out_, "ERR only SUBSCRIBE, UNSUBSCRIBE, PING and QUIT are allowed in this context");
        } else if (known->on_key) {
            on(a[1]).put(a.begin(), a.end());
        } else {
            co_await ask_shards();
            co_await answer_alone(name, a);
        }
    }

    task<> answer_alone(std::string_view name, const arguments& a) {
        if (name == "PING") {
            if (a.size() == 2) resp::bulk(out_, a[1]);
            else resp::simple(out_, "PONG");
        } else if (name == "ECHO") {
            resp::bulk(out_, a[1]);
        } else if (name == "MGET" || name == "DEL" || name == "EXISTS") {
            for (std::size_t i = 1; i < a.size(); ++i) on(a[i]).put({name == "MGET" ? "GET" : name, a[i]});
            std::string all;
            std::swap(all, out_);
            co_await ask_shards();
            std::swap(all, out_);
            if (name == "MGET") {
                resp::array(out_, a.size() - 1);
                out_ += all;
            } else { // each of them is :0 or :1
                resp::number(out_, std::count(all.begin(), all.end(), '1'));
            }
        } else if (name == "MSET") {
            for (std::size_t i = 1; i < a.size(); i += 2) on(a[i]).put({"SET", a[i], a[i + 1]});
            const std::size_t before = out_.size();
            co_await ask_shards();
            out_.resize(before);
            resp::simple(out_, "OK");
        } else if (name == "PUBLISH") {
            const std::int64_t n = co_await tell(subscription::kind::publish, a[1], a[2]);
            resp::number(out_, n);
        } else if (name == "SUBSCRIBE") {
            if (outbox_ == nil) outbox_ = outbox(most_pending_messages);
            for (std::size_t i = 1; i < a.size(); ++i) {
                names_.emplace_back(a[i]);
                subscribed_ += co_await tell(subscription::kind::subscribe, a[i]);
                confirm("subscribe", a[i]);
            }
        } else if (name == "UNSUBSCRIBE") {
            arguments which(a.begin() + 1, a.end());
            const std::vector<std::string> mine = names_;
            if (which.empty()) which.assign(mine.begin(), mine.end());
            for (const std::string_view w : which) {
                subscribed_ -= co_await tell(subscription::kind::unsubscribe, w);
                std::erase(names_, w);
                confirm("unsubscribe", w);
            }
        } else if (name == "QUIT") {
            resp::simple(out_, "OK");
            open_ = false;
        } else if (name == "INFO") {
            co_await info();
        } else if (name == "SELECT") {
            if (a[1] == "0") resp::simple(out_, "OK");
            else resp::error(out_, "ERR DB index is out of range");
        } else if (name == "CLIENT") {
            resp::simple(out_, "OK");
        } else { // COMMAND, CONFIG: tools ask when they connect, and can do without
            resp::array(out_, 0);
        }
    }
    void confirm(std::string_view what, std::string_view name) {
        resp::array(out_, 3);
        resp::bulk(out_, what);
        resp::bulk(out_, name);
        resp::number(out_, subscribed_);
    }
    task<std::int64_t> tell(subscription::kind what, std::string_view name, std::string_view message = {}) {
        subscription s(what, name, message, outbox_);
        s.answer = channel<std::int64_t>(1);
        const channel<std::int64_t> answer = s.answer;
        co_await or_throw(all_.subscriptions.send(std::move(s)));
        const std::int64_t n = co_await or_throw(answer.recv());
        co_return n;
    }
    task<> info() {
        co_await ask(true);
        std::string text = "# Server\r\nserver:levada kv_server\r\nuptime_in_seconds:";
        text += std::to_string((levada::now() - all_.began) / 1s);
        text += "\r\n# Clients\r\nconnected_clients:" + std::to_string(all_.clients);
        text += "\r\n# Stats\r\ntotal_connections_received:" + std::to_string(all_.connections);
        text += "\r\n# Keyspace\r\ndb0:keys=" + std::to_string(keys_);
        text += "\r\nshards:" + std::to_string(all_.shards.size()) + "\r\n";
        resp::bulk(out_, text);
    }

    request& on(std::string_view key) {
        if (!gathered_) gathered_ = all_.borrow();
        gathered_->order.push_back(all_.shard_of(key));
        return gathered_->requests[gathered_->order.back()];
    }
    // Sends the gathered commands to their shards, and adds the replies in order.
    task<> ask_shards() {
        if (!gathered_ || gathered_->order.empty()) co_return;
        co_await ask(false);
        auto& [requests, order, next] = *gathered_;
        next.assign(requests.size(), 0);
        for (const std::size_t s : order) {
            std::string& reply = requests[s].replies[next[s]++];
            out_ += reply;
            if (reply.capacity() > most_kept) std::string().swap(reply);
            else reply.clear();
        }
        order.clear();
        for (request& r : requests) r.count = 0;
    }
    // What a shard has is waited for, whatever happens.
    task<> ask(bool all) {
        if (!gathered_) gathered_ = all_.borrow();
        co_await shield([this, all]() -> task<> {
            auto& requests = gathered_->requests;
            // First all of them: a shard must not be left with a request that is gone.
            for (request& r : requests)
                if (r.done == nil) r.done = channel<std::size_t>(1);
            for (std::size_t i = 0; i < requests.size(); ++i)
                if (all || requests[i].count != 0)
                    static_cast<void>(co_await all_.shards[i].send(&requests[i]));
            keys_ = 0;
            for (request& r : requests)
                if (all || r.count != 0) keys_ += co_await or_throw(r.done.recv());
        });
    }

    store& all_;
    buffered<tcp_stream> in_;
    resp::parser parser_;
    std::string out_;
    bool open_ = true;
    std::unique_ptr<gathered> gathered_; // while there are any
    std::size_t keys_ = 0;
    outbox outbox_ = nil;
    std::int64_t subscribed_ = 0;
    std::vector<std::string> names_;
};

task<int> serve(server::settings set, unsigned shards) {
    auto signals = signal_channel({SIGINT, SIGTERM});
    auto listener = server::listen(set);
    if (!listener) co_return 1;
    store all;
    server::outcome end;
    co_await with_group([&](task_group& keepers) -> task<> {
        for (unsigned i = 0; i < shards; ++i) {
            all.shards.emplace_back(16);
            keepers.go(keep_shard, all.shards.back());
        }
        keepers.go(keep_subscriptions, all.subscriptions);
        auto serve_one = [&all](tcp_stream client, cancel_token draining) {
            return session::serve(all, std::move(client), std::move(draining));
        };
        end = co_await server::serve(set, std::move(*listener), signals, serve_one);
        for (auto& s : all.shards) s.close();
        all.subscriptions.close();
    });
    std::printf("served %llu connections, cut off %zu\n", static_cast<unsigned long long>(end.connections),
                end.cut_off);
    co_return 0;
}

} // namespace

int main(int argc, char** argv) try {
    server::settings set;
    set.program = "kv_server";
    unsigned shards = 1;
    const auto set_shards = [&shards](const char* text) {
        const auto n = server::number(text, 64);
        if (n && *n != 0) shards = *n;
        return n && *n != 0;
    };
    if (const auto status =
            server::read_options(set, argc, argv, usage, {{"shards", "a number from 1 to 64", set_shards}}))
        return *status;
    return levada::run(serve, std::move(set), shards);
} catch (const std::exception& e) { // no io_uring here, or no memory
    std::fprintf(stderr, "kv_server: %s\n", e.what());
    return 1;
}
