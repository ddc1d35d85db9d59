#pragma once

// The keys of a shard, with their values and the times at which they expire.
//
// Invariants, between any two calls:
//   - every item stands in `dense_` exactly once, at its own `place`;
//   - an item that expires stands in `due_` exactly once, with its own time; others do not stand there.
// So a key takes the same memory however often its time is set. A call that throws bad_alloc has changed
// nothing.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text.hpp"

namespace kv {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

class key_table {
public:
    struct entry {
        std::string value;
        std::int64_t expires = never; // in milliseconds of Unix time
        std::size_t place = 0;
    };
    using map = std::unordered_map<std::string, entry, text_hash, std::equal_to<>>;
    using item = map::value_type;

    /// From now on the time is `now`.
    void set_time(std::int64_t now) noexcept { now_ = now; }
    [[nodiscard]] std::int64_t time() const noexcept { return now_; }

    [[nodiscard]] std::size_t size() const noexcept { return map_.size(); }
    /// The item of a key that has not expired, or none.
    item* find(std::string_view key) {
        const auto at = map_.find(key);
        if (at == map_.end()) return nullptr;
        if (at->second.expires > now_) return &*at;
        remove(at);
        return nullptr;
    }
    /// Changes the value and the time of an item; or, if find() gave none, makes it.
    void set(item* at, std::string_view key, std::string value, std::int64_t expires) {
        const bool made = !at;
        if (made) at = make(key);
        try {
            expire(*at, expires);
        } catch (...) {
            if (made) erase(*at);
            throw;
        }
        at->second.value = std::move(value);
    }
    void expire(item& at, std::int64_t expires) {
        const std::int64_t before = at.second.expires;
        if (expires == before) return;
        if (expires != never) due_.emplace(expires, &at);
        if (before != never) due_.erase({before, &at});
        at.second.expires = expires;
    }
    void erase(item& at) { remove(map_.find(at.first)); }
    /// Removes all; their memory goes with `sweep`.
    void clear() {
        trash_.push_back({});
        trash_.back().items.swap(map_);
        trash_.back().due.swap(due_);
        dense_.clear();
        dense_.shrink_to_fit();
    }
    /// Removes up to `most` keys that have expired, or were cleared. True if there are more.
    bool sweep(std::size_t most) {
        for (; !due_.empty() && due_.begin()->first <= now_; --most) {
            if (most == 0) return true;
            erase(*due_.begin()->second);
        }
        for (; !trash_.empty(); --most) {
            if (most == 0) return true;
            if (!trash_.back().take_one()) trash_.pop_back();
        }
        return false;
    }
    /// For walks. A walk goes from the last place to the first: a key that is removed meanwhile is replaced
    /// by the last one, which the walk has seen, and so it sees all that were there the whole time.
    [[nodiscard]] const item& at(std::size_t place) const { return *dense_[place]; }
    [[nodiscard]] bool expired(const item& at) const noexcept { return at.second.expires <= now_; }

private:
    using times = std::set<std::pair<std::int64_t, item*>>;
    struct cleared {
        map items;
        times due;
        bool take_one() {
            if (!items.empty()) items.erase(items.begin());
            if (!due.empty()) due.erase(due.begin());
            return !items.empty() || !due.empty();
        }
    };

    item* make(std::string_view key) {
        dense_.push_back(nullptr);
        try {
            dense_.back() = &*map_.emplace(std::string(key), entry()).first;
        } catch (...) {
            dense_.pop_back();
            throw;
        }
        dense_.back()->second.place = dense_.size() - 1;
        return dense_.back();
    }
    void remove(map::iterator at) {
        expire(*at, never);
        dense_[at->second.place] = dense_.back();
        dense_.back()->second.place = at->second.place;
        dense_.pop_back();
        map_.erase(at);
    }

    map map_;
    std::vector<item*> dense_;
    times due_;
    std::vector<cleared> trash_;
    std::int64_t now_ = 0;
};

} // namespace kv
