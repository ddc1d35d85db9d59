#pragma once

// One client: its commands are read, sent to those who answer them, and the answers written in order.
//
// A client that subscribes gets an outbox, and a task that writes what comes into it. From then on its
// answers go through the outbox too, in order with the messages; before, the session writes them itself.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

#include "../outbox.hpp"
#include "../resp.hpp"
#include "../server.hpp"
#include "calls.hpp"
#include "commands.hpp"
#include "introduce.hpp"
#include "merge.hpp"
#include "store.hpp"
#include "transaction.hpp"

namespace kv {

class session {
public:
    session(store& all, levada::tcp_stream client) : all_(all), in_(std::move(client), 256), calls_(all) {
        me_ = all_.enter();
    }
    ~session() {
        if (box_) box_->close();
        all_.leave(me_);
    }
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    static levada::task<> serve(store& with, levada::tcp_stream client, levada::cancel_token draining) {
        session self(with, std::move(client));
        bool no_memory = false;
        try {
            co_await self.talk(draining);
            if (self.subscribes_) co_await self.talk_and_listen(draining);
        } catch (const std::bad_alloc&) {
            no_memory = true;
        }
        if (self.box_) co_await self.leave();
        else if (no_memory) co_await self.hang_up_for_want_of_memory();
    }

private:
    static constexpr std::size_t most_kept = 1024;      // bytes of a buffer for what comes next
    static constexpr std::size_t most_unsent = 1 << 20; // bytes of replies that wait for those after them
    static constexpr std::size_t most_gathered = 1024;  // commands that go to the shards together

    // Until the connection ends, or the first SUBSCRIBE. All that an idle connection holds is the session,
    // this frame and a small buffer.
    levada::task<> talk(levada::cancel_token draining) {
        while (open_) {
            co_await answer_all();
            co_await flush();
            if (!open_ || (subscribes_ && !box_)) co_return;
            in_.shrink();
            calls_.rest();
            auto next = co_await levada::select_in_order(draining.done(), in_.stream().receive());
            if (next.index() == 0) co_return;
            auto& piece = get<1>(next);
            if (!piece) co_return;
            in_.put(std::move(*piece), parser_.wants(in_.peek().size()));
        }
    }
    levada::task<> talk_and_listen(levada::cancel_token draining) {
        box_ = std::make_shared<server::outbox>(store::most_pending, all_.patience);
        co_await levada::with_group([&](levada::task_group& g) -> levada::task<> {
            g.go([&]() -> levada::task<> {
                static_cast<void>(co_await box_->send_to(in_.stream()));
                g.cancel();
            });
            co_await talk(draining);
            box_->finish();
        });
    }
    levada::task<> leave() {
        box_->close();
        hub_request bye(hub_request::kind::leave, "");
        bye.channels = std::move(channels_);
        bye.patterns = std::move(patterns_);
        static_cast<void>(co_await tell(std::move(bye)));
    }

    levada::task<> hang_up_for_want_of_memory() {
        std::string().swap(out_);
        in_.consume(in_.peek().size());
        in_.shrink();
        co_await write(out_of_memory);
        co_await server::hang_up_gently(in_.stream());
    }

    /// A client that takes nothing for a while is given up: the system holds as much for it as it will.
    levada::task<> write(std::string_view text) {
        const auto give_up = [] { return true; };
        const bool sent = co_await server::write_steadily(in_.stream(), text, all_.patience, give_up);
        if (!sent) open_ = false;
    }
    /// Sends what there is.
    levada::task<> flush() {
        if (out_.empty()) co_return;
        if (box_) {
            co_await post();
            co_await box_->room();
            co_return;
        }
        co_await write(out_);
        out_.clear();
        if (out_.capacity() > most_kept) out_.shrink_to_fit();
    }
    levada::task<> post() {
        if (out_.empty()) co_return;
        const bool open = box_->push(std::make_shared<const std::string>(std::exchange(out_, {})));
        if (!open) open_ = false;
    }

    // Answers the commands that have come whole.
    levada::task<> answer_all() {
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
            const arguments& a = parser_.arguments();
            if (!a.empty()) {
                const command* const c = find_command(a[0]);
                if (c && begins_to_subscribe(*c, a)) break; // it comes again, with an outbox
                const bool on_its_way = c && gather(*c, a);
                if (!on_its_way) co_await answer(c, a);
            }
            used += parser_.size();
            if (parser_.quoted() || calls_.size() >= most_gathered) co_await ask_shards();
            if (out_.size() >= most_unsent) co_await flush();
        }
        co_await ask_shards();
        in_.consume(used);
    }
    bool begins_to_subscribe(const command& c, const arguments& a) {
        const bool does = is(c.name, "SUBSCRIBE") || is(c.name, "PSUBSCRIBE");
        if (!does || box_ || transaction_ || !fits(c, a)) return false;
        return subscribes_ = true;
    }
    static bool fits(const command& c, const arguments& a) {
        return a.size() >= c.least && a.size() <= c.most && (c.to != target::pairs || a.size() % 2 == 1);
    }
    /// Whether the client hears of nothing but subscriptions now.
    [[nodiscard]] bool listens_only() const {
        return me_->version == resp::version::resp2 && !(channels_.empty() && patterns_.empty());
    }

    // Commands that one shard answers are gathered, and go to their shards together.

    bool gather(const command& c, const arguments& a) {
        if (transaction_ || c.to == target::session || !fits(c, a) || listens_only()) return false;
        const auto shard = shard_for(c, a, all_);
        if (shard) calls_.put(*shard, c.run, a.begin(), a.end());
        return shard.has_value();
    }
    levada::task<> ask_shards() {
        while (open_ && calls_.size() != 0) {
            co_await calls_.ask(out_, me_->version);
            if (calls_.size() != 0) co_await flush(); // the shards go on when these have gone
        }
        calls_.forget();
    }

    // All other commands are answered one by one, after those before them.

    levada::task<> answer(const command* c, const arguments& a) {
        co_await ask_shards();
        std::string refusal;
        if (!c) refusal = "ERR unknown command '" + std::string(a[0].substr(0, 128)) + "'";
        else if (!fits(*c, a)) refusal = "ERR wrong number of arguments for '" + lower(c->name) + "' command";
        else if (listens_only() && !allowed_while_listening(*c))
            refusal = "ERR only (P)SUBSCRIBE, (P)UNSUBSCRIBE, PING and QUIT are allowed in this context";
        if (!refusal.empty()) {
            if (transaction_ && c && is(c->name, "EXEC")) {
                transaction_.reset();
                refusal = "EXECABORT Transaction discarded because of: " + refusal.substr(4);
            }
            if (transaction_) transaction_->break_off();
            resp::error(out_, refusal);
        } else if (transaction_ && !is(c->name, "MULTI") && !is(c->name, "EXEC") && !is(c->name, "DISCARD") &&
                   !is(c->name, "QUIT")) {
            queue(*c, a);
        } else if (c->to == target::session) {
            co_await answer_alone(c->name, a);
        } else if (c->run == &shard::msetnx) {
            resp::error(out_, "CROSSSLOT Keys of MSETNX have to be of one shard; give them one {tag}");
        } else {
            co_await answer_together(*c, a);
        }
    }
    static bool allowed_while_listening(const command& c) {
        const std::string_view name = c.name;
        return name.ends_with("SUBSCRIBE") || name == "PING" || name == "QUIT";
    }
    // Each shard does its part of a command.
    levada::task<> answer_together(const command& c, const arguments& a) {
        const bool mget = is(c.name, "MGET");
        if (c.to == target::every) {
            for (std::size_t s = 0; s < all_.shards.size(); ++s) calls_.put(s, c.run, a.begin(), a.end());
        } else {
            const std::size_t step = c.to == target::pairs ? 2 : 1;
            for (std::size_t i = 1; i < a.size(); i += step) {
                arguments part(a.begin(), a.begin() + 1);
                part.insert(part.end(), a.begin() + static_cast<std::ptrdiff_t>(i),
                            a.begin() + static_cast<std::ptrdiff_t>(i + step));
                calls_.put(all_.shard_of(a[i]), mget ? &shard::get : c.run, part.begin(), part.end());
            }
        }
        const std::vector<std::string> parts = co_await calls_.ask_undivided(me_->version);
        if (mget) merge_values(parts, out_);
        else merge(parts, out_);
    }
    levada::task<> answer_alone(std::string_view name, const arguments& a) {
        if (name == "PING") {
            ping(a);
        } else if (name == "ECHO") {
            resp::bulk(out_, a[1]);
        } else if (name == "HELLO") {
            all_.with_clients([&](const auto&) { hello(*me_, a, out_); });
        } else if (name == "CLIENT") {
            all_.with_clients([&](const auto& everyone) { client(*me_, everyone, a, out_); });
        } else if (name == "CONFIG") {
            config(*me_, a, out_);
        } else if (name == "COMMAND") {
            command_info(*me_, a, out_);
        } else if (name == "INFO") {
            co_await info(a);
        } else if (name == "SELECT") {
            if (a[1] == "0") resp::simple(out_, "OK");
            else resp::error(out_, "ERR DB index is out of range");
        } else if (name == "QUIT") {
            resp::simple(out_, "OK");
            open_ = false;
        } else if (name == "MULTI") {
            if (transaction_) co_return resp::error(out_, "ERR MULTI calls can not be nested");
            transaction_ = std::make_unique<transaction>();
            resp::simple(out_, "OK");
        } else if (name == "EXEC") {
            co_await exec();
        } else if (name == "DISCARD") {
            if (!transaction_) co_return resp::error(out_, "ERR DISCARD without MULTI");
            transaction_.reset();
            resp::simple(out_, "OK");
        } else if (name == "PUBLISH") {
            co_await publish(a[1], a[2]);
        } else if (name == "SUBSCRIBE") {
            for (std::size_t i = 1; i < a.size(); ++i)
                co_await subscribe(hub_request::kind::subscribe, channels_, a[i]);
        } else if (name == "PSUBSCRIBE") {
            for (std::size_t i = 1; i < a.size(); ++i)
                co_await subscribe(hub_request::kind::psubscribe, patterns_, a[i]);
        } else if (name == "UNSUBSCRIBE") {
            co_await unsubscribe(hub_request::kind::unsubscribe, channels_, a);
        } else { // PUNSUBSCRIBE
            co_await unsubscribe(hub_request::kind::punsubscribe, patterns_, a);
        }
    }
    void ping(const arguments& a) {
        if (listens_only()) {
            resp::array(out_, 2);
            resp::bulk(out_, "pong");
            resp::bulk(out_, a.size() == 2 ? a[1] : "");
        } else if (a.size() == 2) {
            resp::bulk(out_, a[1]);
        } else {
            resp::simple(out_, "PONG");
        }
    }
    /// INFO [section...]
    levada::task<> info(const arguments& a) {
        for (std::size_t s = 0; s < all_.shards.size(); ++s) {
            const std::string_view words[] = {"DBSIZE"};
            calls_.put(s, &shard::dbsize, std::begin(words), std::end(words));
        }
        const std::vector<std::string> parts = co_await calls_.ask_undivided(me_->version);
        std::string keys;
        merge(parts, keys);
        using namespace std::chrono_literals;
        std::string text;
        const auto section = [&](std::string_view name, const std::string& lines) {
            const auto asks = [&](std::string_view word) {
                return is(word, "ALL") || is(word, "DEFAULT") || is(word, "EVERYTHING") ||
                       lower(word) == lower(name);
            };
            if (a.size() > 1 && std::none_of(a.begin() + 1, a.end(), asks)) return;
            if (!text.empty()) text += "\r\n";
            text.append("# ").append(name).append("\r\n").append(lines);
        };
        section("Server", "server:levada kv_server\r\nredis_version:" + std::string(redis_version) +
                              "\r\nuptime_in_seconds:" + std::to_string((levada::now() - all_.began) / 1s) +
                              "\r\nshards:" + std::to_string(all_.shards.size()) + "\r\n");
        std::size_t clients = 0;
        all_.with_clients([&](const auto& everyone) { clients = everyone.size(); });
        section("Clients", "connected_clients:" + std::to_string(clients) + "\r\n");
        section("Stats", "total_connections_received:" + std::to_string(all_.connections) + "\r\n");
        section("Keyspace", "db0:keys=" + keys.substr(1, keys.size() - 3) + "\r\n");
        resp::bulk(out_, text);
    }

    // Transactions: the commands are kept until EXEC, and one shard does them with nothing in between. What
    // the session answers itself, PUBLISH above all, comes after them.

    void queue(const command& c, const arguments& a) {
        if (const auto refusal = transaction_->add(c, a, shard_for(c, a, all_))) {
            transaction_->break_off();
            resp::error(out_, *refusal);
        } else {
            resp::simple(out_, "QUEUED");
        }
    }
    levada::task<> exec() {
        if (!transaction_) co_return resp::error(out_, "ERR EXEC without MULTI");
        const std::unique_ptr<transaction> all = std::move(transaction_);
        if (all->broken())
            co_return resp::error(out_, "EXECABORT Transaction discarded because of previous errors.");
        for (const auto& s : all->steps())
            if (s.what->to != target::session)
                calls_.put(all->shard(), s.what->run, s.words.begin(), s.words.end());
        const std::vector<std::string> replies = co_await calls_.ask_undivided(me_->version);
        auto reply = replies.begin();
        resp::array(out_, all->steps().size());
        for (const auto& s : all->steps()) {
            const arguments words(s.words.begin(), s.words.end());
            if (s.what->to != target::session) out_ += *reply++;
            else co_await answer_alone(s.what->name, words);
        }
    }

    // Publishing and subscribing.

    levada::task<hub_request::outcome> tell(hub_request r) {
        r.from = box_;
        r.version = me_->version;
        r.answer = levada::channel<hub_request::outcome>(1);
        const levada::channel<hub_request::outcome> answer = r.answer;
        co_await levada::or_throw(all_.hub.send(std::move(r)));
        hub_request::outcome out = co_await levada::or_throw(answer.recv());
        if (out.no_memory) throw std::bad_alloc();
        co_return out;
    }
    levada::task<> publish(std::string_view channel, std::string_view message) {
        hub_request r(hub_request::kind::publish, channel);
        r.message = message;
        const hub_request::outcome out = co_await tell(std::move(r));
        resp::number(out_, out.heard);
        // The message is on its way to all. The next one has to wait until those who are behind have caught
        // up, or are given up.
        for (const box& b : out.full) co_await b->room();
    }
    std::string confirmation(std::string_view what, std::optional<std::string_view> name) {
        std::string text;
        resp::push(text, 3, me_->version);
        resp::bulk(text, what);
        if (name) resp::bulk(text, *name);
        else resp::null(text, me_->version);
        resp::number(text, static_cast<std::int64_t>(channels_.size() + patterns_.size()));
        return text;
    }
    /// The hub puts the confirmation into the outbox itself, so that no message comes before it.
    levada::task<> tell_and_confirm(hub_request::kind what, std::string_view name, std::string_view text) {
        hub_request r(what, name);
        r.reply = std::make_shared<const std::string>(text);
        co_await post();
        static_cast<void>(co_await tell(std::move(r)));
        co_await box_->room();
    }
    levada::task<> subscribe(hub_request::kind what, names& mine, std::string_view name) {
        mine.emplace(name);
        const std::string text =
            confirmation(what == hub_request::kind::subscribe ? "subscribe" : "psubscribe", name);
        co_await tell_and_confirm(what, name, text);
    }
    levada::task<> unsubscribe(hub_request::kind what, names& mine, const arguments& a) {
        const std::string_view word = what == hub_request::kind::unsubscribe ? "unsubscribe" : "punsubscribe";
        std::vector<std::string> which(a.begin() + 1, a.end());
        if (which.empty()) which.assign(mine.begin(), mine.end());
        if (which.empty()) out_ += confirmation(word, {});
        for (const std::string& name : which) {
            mine.erase(name);
            const std::string text = confirmation(word, name);
            if (box_) co_await tell_and_confirm(what, name, text);
            else out_ += text;
        }
    }

    store& all_;
    levada::buffered<levada::tcp_stream> in_;
    resp::parser parser_;
    std::string out_;
    bool open_ = true;
    bool subscribes_ = false;
    store::place me_; // among those who are connected
    calls calls_;
    std::unique_ptr<transaction> transaction_;
    box box_; // once it has subscribed
    names channels_, patterns_;
};

} // namespace kv
