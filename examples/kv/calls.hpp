#pragma once

// The commands of one session that shards answer: they are gathered, go to their shards together, and their
// replies come back in order.

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

#include "../resp.hpp"
#include "commands.hpp"
#include "keep_shard.hpp"
#include "store.hpp"

namespace kv {

constexpr std::string_view out_of_memory = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

/// The shard that answers a command alone, if there is one.
inline std::optional<std::size_t> shard_for(const command& c, const arguments& a, const store& all) {
    const bool one = all.shards.size() == 1;
    switch (c.to) {
        case target::session: return {};
        case target::every: return one ? std::optional<std::size_t>(0) : std::nullopt;
        case target::scan: return cursor::parse(a[1]).value_or(cursor()).shard % all.shards.size();
        case target::key: return all.shard_of(a[1]);
        case target::keys:
        case target::pairs: break;
    }
    const std::size_t first = all.shard_of(a[1]);
    for (std::size_t i = 2; i < a.size() && !one; ++i) {
        const bool is_value = c.to == target::pairs && i % 2 == 0;
        if (!is_value && all.shard_of(a[i]) != first) return {};
    }
    return first;
}

class calls {
public:
    explicit calls(store& all) : all_(all) {}

    /// The words have to stay where they are until the reply has come.
    template <class I>
    void put(std::size_t shard, shard::command what, I from, I to) {
        if (!now_) now_ = all_.borrow();
        now_->order.push_back(shard);
        now_->requests[shard].put(what, from, to);
    }
    [[nodiscard]] std::size_t size() const noexcept { return now_ ? now_->order.size() : 0; }
    /// Adds the replies to `out`, or as many of them as should be sent before the others are asked for; then
    /// size() is not 0 yet.
    levada::task<> ask(std::string& out, resp::version v) {
        if (size() == 0) co_return;
        co_await ask_all(v);
        while (now_->ready()) add(now_->take(), out);
        if (now_->taken == now_->order.size()) now_->reset();
    }
    /// Has the gathered commands done all at once, with nothing in between on the same shard; gives the
    /// replies.
    levada::task<std::vector<std::string>> ask_undivided(resp::version v) {
        std::vector<std::string> out;
        if (size() == 0) co_return out;
        for (request& r : now_->requests) r.undivided = true;
        co_await ask_all(v);
        out.reserve(size());
        while (now_->ready()) add(now_->take(), out.emplace_back());
        now_->reset();
        co_return out;
    }
    /// Drops what has no reply yet.
    void forget() {
        if (now_) now_->reset();
    }
    /// For sessions that idle: they hold nothing then.
    void rest() {
        if (now_) all_.give_back(std::move(now_));
    }

private:
    static void add(std::string& reply, std::string& out) {
        if (reply.empty()) out += out_of_memory;
        else if (out.empty()) out.swap(reply);
        else out += reply;
        reply.clear();
    }
    // What a shard has is waited for, whatever happens.
    levada::task<> ask_all(resp::version v) {
        co_await levada::shield([this, v]() -> levada::task<> {
            auto& requests = now_->requests;
            for (request& r : requests) {
                if (r.answered == levada::nil) r.answered = levada::channel<void>(1);
                r.version = v;
                r.asked = r.done < r.count;
            }
            // First all of them: a shard must not be left with a request that is gone.
            for (std::size_t i = 0; i < requests.size(); ++i)
                if (requests[i].asked) static_cast<void>(co_await all_.shards[i].send(&requests[i]));
            for (request& r : requests)
                if (r.asked) co_await levada::or_throw(r.answered.recv());
        });
    }

    store& all_;
    std::unique_ptr<gathered> now_; // while there are any
};

} // namespace kv
