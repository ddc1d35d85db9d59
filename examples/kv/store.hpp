#pragma once

// What all sessions share: the ways to the shards and to the hub, and memory that they lend to each other.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

#include "hub.hpp"
#include "introduce.hpp"
#include "keep_shard.hpp"

namespace kv {

/// The commands of one client that are under way.
struct gathered {
    explicit gathered(std::size_t shards) : requests(shards), next(shards) {}
    std::vector<request> requests;  // one for each shard, which refers to it
    std::vector<std::size_t> next;  // the first step of each that has not been taken
    std::vector<std::size_t> order; // the shard of each command
    std::size_t taken = 0;          // so many of these have been taken

    [[nodiscard]] bool ready() const noexcept {
        return taken < order.size() && next[order[taken]] < requests[order[taken]].done;
    }
    /// The reply to the next command.
    std::string& take() {
        const std::size_t shard = order[taken++];
        return requests[shard].steps[next[shard]++].reply;
    }
    void reset() {
        constexpr std::size_t most_words = 64, most_reply = 1024; // that are kept for the next ones
        for (request& r : requests) {
            for (std::size_t i = 0; i < r.count; ++i) {
                request::step& s = r.steps[i];
                if (s.words.capacity() > most_words) arguments().swap(s.words);
                if (s.reply.capacity() > most_reply) std::string().swap(s.reply);
                s.reply.clear();
            }
            r.count = r.done = 0;
            r.undivided = false;
        }
        next.assign(requests.size(), 0);
        order.clear();
        taken = 0;
    }
};

struct store {
    std::vector<levada::channel<request*>> shards;
    levada::channel<hub_request> hub{16};
    std::chrono::milliseconds patience{};
    std::atomic<std::uint64_t> connections = 0; // sessions run on all cores
    levada::time_point began = levada::now();

    static constexpr std::size_t most_pending = 8 << 20; // bytes for a subscriber, before publishers wait

    /// Of a key with `{part}` in it, only the part counts, so that keys can be kept together.
    [[nodiscard]] std::size_t shard_of(std::string_view key) const noexcept {
        if (shards.size() == 1) return 0;
        const auto begin = key.find('{');
        const auto end = begin == std::string_view::npos ? begin : key.find('}', begin);
        if (end != std::string_view::npos && end > begin + 1) key = key.substr(begin + 1, end - begin - 1);
        return text_hash()(key) % shards.size();
    }
    using place = std::list<client_facts>::iterator;
    /// For a client that has come. It alone changes what stands there, and only in `with_clients`.
    [[nodiscard]] place enter() {
        const std::lock_guard guard(lock_);
        const place at = clients_.emplace(clients_.end());
        at->number = ++connections;
        return at;
    }
    void leave(place at) {
        const std::lock_guard guard(lock_);
        clients_.erase(at);
    }
    /// Calls `f` with all clients, while none of them changes.
    template <class F>
    void with_clients(F f) {
        const std::lock_guard guard(lock_);
        f(std::as_const(clients_));
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
    std::mutex lock_; // guards all below
    std::list<client_facts> clients_;
    std::vector<std::unique_ptr<gathered>> spare_;
};

} // namespace kv
