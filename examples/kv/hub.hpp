#pragma once

// The task that knows who has subscribed to what. It never waits for a subscriber: it puts messages into
// their outboxes, and tells the publisher which of them are over their bound; the publisher waits.

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

#include "../outbox.hpp"
#include "../resp.hpp"
#include "text.hpp"

namespace kv {

using box = std::shared_ptr<server::outbox>;
using names = std::set<std::string, std::less<>>;

/// What the hub is asked for.
struct hub_request {
    enum class kind { subscribe, unsubscribe, psubscribe, punsubscribe, publish, leave };
    hub_request(kind k, std::string_view n) : what(k), name(n) {}

    /// To a publisher.
    struct outcome {
        outcome() = default;    // no aggregate: g++ 12 destroys those twice in awaited expressions
        std::int64_t heard = 0; // by so many
        std::vector<box> full;  // to be waited for
        bool no_memory = false;
    };

    kind what;
    std::string name;    // of the channel, or the pattern
    std::string message; // to publish
    box from;            // the subscriber's
    resp::version version = resp::version::resp2;
    server::payload reply;    // to the subscriber, before any message comes to it
    names channels, patterns; // of one that leaves
    levada::channel<outcome> answer = levada::nil;
};

class hub {
public:
    levada::task<> run(levada::recv_channel<hub_request> in) {
        while (auto r = co_await in.recv()) {
            hub_request::outcome out;
            try {
                serve(*r, out);
            } catch (const std::bad_alloc&) {
                out.no_memory = true;
            }
            static_cast<void>(r->answer.try_send(std::move(out)));
        }
    }

private:
    struct subscriber {
        box to;
        resp::version version;
    };
    using directory = std::map<std::string, std::vector<subscriber>, std::less<>>;

    void serve(hub_request& r, hub_request::outcome& out) {
        switch (r.what) {
            case hub_request::kind::subscribe: add(channels_, r); break;
            case hub_request::kind::psubscribe: add(patterns_, r); break;
            case hub_request::kind::unsubscribe: remove(channels_, r.name, r.from); break;
            case hub_request::kind::punsubscribe: remove(patterns_, r.name, r.from); break;
            case hub_request::kind::publish: publish(r, out); break;
            case hub_request::kind::leave:
                for (const std::string& name : r.channels) remove(channels_, name, r.from);
                for (const std::string& name : r.patterns) remove(patterns_, name, r.from);
        }
        if (r.reply) r.from->push(std::move(r.reply));
    }
    static void add(directory& to, const hub_request& r) {
        auto& there = to[r.name];
        const auto same = [&](const subscriber& s) { return s.to == r.from; };
        if (std::none_of(there.begin(), there.end(), same)) there.push_back({r.from, r.version});
    }
    static void remove(directory& from, std::string_view name, const box& who) {
        const auto at = from.find(name);
        if (at == from.end()) return;
        std::erase_if(at->second, [&](const subscriber& s) { return s.to == who; });
        if (at->second.empty()) from.erase(at);
    }
    void publish(const hub_request& r, hub_request::outcome& out) {
        if (const auto at = channels_.find(r.name); at != channels_.end()) {
            deliver(at->second, {"message", r.name, r.message}, out);
            if (at->second.empty()) channels_.erase(at);
        }
        for (auto at = patterns_.begin(); at != patterns_.end();) {
            if (matches(at->first, r.name))
                deliver(at->second, {"pmessage", at->first, r.name, r.message}, out);
            at = at->second.empty() ? patterns_.erase(at) : std::next(at);
        }
    }
    /// Puts a message into all boxes; those that are closed are forgotten. It is held once for each version.
    static void deliver(std::vector<subscriber>& to, std::initializer_list<std::string_view> words,
                        hub_request::outcome& out) {
        std::map<resp::version, server::payload> texts;
        std::erase_if(to, [&](const subscriber& s) {
            server::payload& text = texts[s.version];
            if (!text) {
                std::string made;
                resp::push(made, words.size(), s.version);
                for (const std::string_view w : words) resp::bulk(made, w);
                text = std::make_shared<const std::string>(std::move(made));
            }
            if (!s.to->push(text)) return true;
            ++out.heard;
            if (s.to->full()) out.full.push_back(s.to);
            return false;
        });
    }

    directory channels_;
    directory patterns_;
};

} // namespace kv
