#pragma once

// A shard: the commands on its keys, and the task that owns it. Others reach it by a channel, so nothing is
// locked.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../resp.hpp"
#include "keys.hpp"
#include "text.hpp"

namespace kv {

constexpr std::size_t most_shards = 64;
constexpr std::size_t longest_value = std::size_t(512) << 20;

/// Where SCAN goes on. As text it is a number; 0 is the beginning, and the end.
struct cursor {
    std::size_t shard = 0;
    std::size_t left =
        most_left; // places of the shard that have not been seen; all of them if there are fewer
    static constexpr std::size_t most_left = (std::size_t(1) << 40) - 1;

    static std::optional<cursor> parse(std::string_view text) {
        std::int64_t n = 0;
        if (!integer(text, n) || n < 0) return {};
        if (n == 0) return cursor();
        const auto at = static_cast<std::size_t>(n) - 1;
        return cursor{at % most_shards, at / most_shards};
    }
    [[nodiscard]] std::string text() const { return std::to_string(left * most_shards + shard + 1); }
};

class shard {
public:
    shard(std::size_t number, std::size_t of_all) : number_(number), of_all_(of_all) {}

    using command = void (shard::*)(const arguments&, std::string& out);
    /// What the next commands need to know.
    void set_time(std::int64_t now) noexcept { keys_.set_time(now); }
    void set_version(resp::version v) noexcept { version_ = v; }
    /// Removes a part of what has expired. True if there is more.
    bool sweep() {
        constexpr std::size_t keys_in_a_step = 8; // a loop that is busy asks the system once in 256 steps
        return keys_.sweep(keys_in_a_step);
    }

    // Each does one command, and adds its reply.

    void get(const arguments& a, std::string& out) { value(keys_.find(a[1]), out); }
    void strlen(const arguments& a, std::string& out) {
        const auto* at = keys_.find(a[1]);
        resp::number(out, at ? static_cast<std::int64_t>(at->second.value.size()) : 0);
    }
    void type(const arguments& a, std::string& out) {
        resp::simple(out, keys_.find(a[1]) ? "string" : "none");
    }
    void set(const arguments& a, std::string& out) {
        bool if_missing = false, if_there = false, keep = false, tell = false;
        std::optional<std::int64_t> expires;
        for (std::size_t i = 3; i < a.size(); ++i) {
            if (is(a[i], "NX") && !if_there) if_missing = true;
            else if (is(a[i], "XX") && !if_missing) if_there = true;
            else if (is(a[i], "GET")) tell = true;
            else if (is(a[i], "KEEPTTL") && !expires) keep = true;
            else if (const auto given = unit_of(a[i]); given && !keep && !expires && i + 1 < a.size()) {
                expires = positive_time(a[++i], *given, "set", out);
                if (!expires) return;
            } else {
                return resp::error(out, syntax_error);
            }
        }
        auto* const at = keys_.find(a[1]);
        const bool skip = at ? if_missing : if_there;
        if (tell) value(at, out);
        if (skip && !tell) resp::null(out, version_);
        if (skip) return;
        const std::int64_t kept = keep && at ? at->second.expires : never;
        keys_.set(at, a[1], std::string(a[2]), expires.value_or(kept));
        if (!tell) resp::simple(out, "OK");
    }
    void setnx(const arguments& a, std::string& out) {
        const bool missing = !keys_.find(a[1]);
        if (missing) keys_.set(nullptr, a[1], std::string(a[2]), never);
        resp::number(out, missing);
    }
    void setex(const arguments& a, std::string& out) { set_for(a, {.ms = 1000}, "setex", out); }
    void psetex(const arguments& a, std::string& out) { set_for(a, {.ms = 1}, "psetex", out); }
    void getset(const arguments& a, std::string& out) {
        auto* const at = keys_.find(a[1]);
        value(at, out);
        keys_.set(at, a[1], std::string(a[2]), never);
    }
    void getdel(const arguments& a, std::string& out) {
        auto* const at = keys_.find(a[1]);
        value(at, out);
        if (at) keys_.erase(*at);
    }
    void getex(const arguments& a, std::string& out) {
        const bool persist = a.size() == 3 && is(a[2], "PERSIST");
        const auto given = a.size() == 4 ? unit_of(a[2]) : std::nullopt;
        if (a.size() != 2 && !persist && !given) return resp::error(out, syntax_error);
        auto* const at = keys_.find(a[1]);
        if (!at) return resp::null(out, version_); // whatever the time is
        std::int64_t expires = persist ? never : at->second.expires;
        if (given) {
            const auto then = positive_time(a[3], *given, "getex", out);
            if (!then) return;
            expires = *then;
        }
        value(at, out);
        let_expire(*at, expires);
    }
    void append(const arguments& a, std::string& out) {
        auto* const at = keys_.find(a[1]);
        const std::size_t size = (at ? at->second.value.size() : 0) + a[2].size();
        if (size > longest_value)
            return resp::error(out, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        if (at) at->second.value += a[2];
        else keys_.set(nullptr, a[1], std::string(a[2]), never);
        resp::number(out, static_cast<std::int64_t>(size));
    }

    void incr(const arguments& a, std::string& out) { add(a[1], 1, out); }
    void decr(const arguments& a, std::string& out) { add(a[1], -1, out); }
    void incrby(const arguments& a, std::string& out) {
        std::int64_t n = 0;
        if (!integer(a[2], n)) return resp::error(out, not_an_integer);
        add(a[1], n, out);
    }
    void decrby(const arguments& a, std::string& out) {
        std::int64_t n = 0;
        if (!integer(a[2], n)) return resp::error(out, not_an_integer);
        if (n == std::numeric_limits<std::int64_t>::min())
            return resp::error(out, "ERR decrement would overflow");
        add(a[1], -n, out);
    }

    void expire(const arguments& a, std::string& out) { set_expiry(a, {.ms = 1000}, "expire", out); }
    void pexpire(const arguments& a, std::string& out) { set_expiry(a, {.ms = 1}, "pexpire", out); }
    void expireat(const arguments& a, std::string& out) {
        set_expiry(a, {.ms = 1000, .absolute = true}, "expireat", out);
    }
    void pexpireat(const arguments& a, std::string& out) {
        set_expiry(a, {.ms = 1, .absolute = true}, "pexpireat", out);
    }
    void ttl(const arguments& a, std::string& out) {
        const std::int64_t ms = time_left(a[1]);
        resp::number(out, ms < 0 ? ms : ms / 1000 + (ms % 1000 >= 500));
    }
    void pttl(const arguments& a, std::string& out) { resp::number(out, time_left(a[1])); }
    void expiretime(const arguments& a, std::string& out) {
        const std::int64_t ms = expires_at(a[1]);
        resp::number(out, ms < 0 ? ms : (ms + 500) / 1000);
    }
    void pexpiretime(const arguments& a, std::string& out) { resp::number(out, expires_at(a[1])); }
    void persist(const arguments& a, std::string& out) {
        auto* const at = keys_.find(a[1]);
        const bool changes = at && at->second.expires != never;
        if (changes) keys_.expire(*at, never);
        resp::number(out, changes);
    }

    // Those of several keys, all of them of this shard.

    void del(const arguments& a, std::string& out) {
        std::int64_t n = 0;
        for (std::size_t i = 1; i < a.size(); ++i) {
            if (auto* const at = keys_.find(a[i])) {
                keys_.erase(*at);
                ++n;
            }
        }
        resp::number(out, n);
    }
    void exists(const arguments& a, std::string& out) {
        std::int64_t n = 0;
        for (std::size_t i = 1; i < a.size(); ++i) n += keys_.find(a[i]) != nullptr;
        resp::number(out, n);
    }
    void mget(const arguments& a, std::string& out) {
        resp::array(out, a.size() - 1);
        for (std::size_t i = 1; i < a.size(); ++i) value(keys_.find(a[i]), out);
    }
    void mset(const arguments& a, std::string& out) {
        set_all(a);
        resp::simple(out, "OK");
    }
    void msetnx(const arguments& a, std::string& out) {
        for (std::size_t i = 1; i < a.size(); i += 2)
            if (keys_.find(a[i])) return resp::number(out, 0);
        try {
            set_all(a);
        } catch (...) { // all or none
            for (std::size_t i = 1; i < a.size(); i += 2)
                if (auto* const at = keys_.find(a[i])) keys_.erase(*at);
            throw;
        }
        resp::number(out, 1);
    }

    // Those of all keys.

    void dbsize(const arguments&, std::string& out) {
        resp::number(out, static_cast<std::int64_t>(keys_.size()));
    }
    void flush(const arguments& a, std::string& out) {
        if (a.size() == 2 && !is(a[1], "ASYNC") && !is(a[1], "SYNC")) return resp::error(out, syntax_error);
        keys_.clear();
        resp::simple(out, "OK");
    }
    void keys(const arguments& a, std::string& out) {
        std::string found;
        std::size_t n = 0;
        for (std::size_t i = keys_.size(); i-- > 0;) n += add_key(i, a[1], found);
        resp::array(out, n);
        out += found;
    }
    void scan(const arguments& a, std::string& out) {
        std::string_view pattern = "*";
        std::int64_t count = 10;
        bool strings = true;
        auto from = cursor::parse(a[1]);
        if (!from) return resp::error(out, "ERR invalid cursor");
        for (std::size_t i = 2; i < a.size(); i += 2) {
            if (i + 1 == a.size()) return resp::error(out, syntax_error);
            if (is(a[i], "MATCH")) pattern = a[i + 1];
            else if (is(a[i], "TYPE")) strings = is(a[i + 1], "STRING");
            else if (!is(a[i], "COUNT")) return resp::error(out, syntax_error);
            else if (!integer(a[i + 1], count)) return resp::error(out, not_an_integer);
            else if (count < 1) return resp::error(out, syntax_error);
        }
        std::string found;
        std::size_t n = 0;
        std::size_t left = std::min(from->left, keys_.size());
        for (; left > 0 && count > 0; --count)
            if (--left; strings) n += add_key(left, pattern, found);
        const bool last = left == 0 && number_ + 1 == of_all_;
        const cursor next = left == 0 ? cursor{number_ + 1} : cursor{number_, left};
        resp::array(out, 2);
        resp::bulk(out, last ? "0" : next.text());
        resp::array(out, n);
        out += found;
    }

private:
    /// How a time is given.
    struct unit {
        std::int64_t ms;
        bool absolute = false;
    };
    static std::optional<unit> unit_of(std::string_view option) {
        if (is(option, "EX")) return unit{.ms = 1000};
        if (is(option, "PX")) return unit{.ms = 1};
        if (is(option, "EXAT")) return unit{.ms = 1000, .absolute = true};
        if (is(option, "PXAT")) return unit{.ms = 1, .absolute = true};
        return {};
    }
    void refuse_time(const char* name, std::string& out) {
        resp::error(out, std::string("ERR invalid expire time in '") + name + "' command");
    }
    /// When that is; or an error is added.
    std::optional<std::int64_t> time_of(std::string_view text, unit u, const char* name, std::string& out) {
        std::int64_t at = 0;
        if (!integer(text, at)) {
            resp::error(out, not_an_integer);
            return {};
        }
        if (__builtin_mul_overflow(at, u.ms, &at) ||
            (!u.absolute && __builtin_add_overflow(at, keys_.time(), &at)) || at == never) {
            refuse_time(name, out);
            return {};
        }
        return at;
    }
    std::optional<std::int64_t> positive_time(std::string_view text, unit u, const char* name,
                                              std::string& out) {
        if (std::int64_t n = 0; integer(text, n) && n <= 0) {
            refuse_time(name, out);
            return {};
        }
        return time_of(text, u, name, out);
    }
    void set_all(const arguments& a) {
        for (std::size_t i = 1; i < a.size(); i += 2)
            keys_.set(keys_.find(a[i]), a[i], std::string(a[i + 1]), never);
    }
    void set_for(const arguments& a, unit u, const char* name, std::string& out) {
        const auto expires = positive_time(a[2], u, name, out);
        if (!expires) return;
        keys_.set(keys_.find(a[1]), a[1], std::string(a[3]), *expires);
        resp::simple(out, "OK");
    }
    void set_expiry(const arguments& a, unit u, const char* name, std::string& out) {
        bool nx = false, xx = false, gt = false, lt = false;
        for (std::size_t i = 3; i < a.size(); ++i) {
            if (is(a[i], "NX")) nx = true;
            else if (is(a[i], "XX")) xx = true;
            else if (is(a[i], "GT")) gt = true;
            else if (is(a[i], "LT")) lt = true;
            else return resp::error(out, "ERR Unsupported option " + std::string(a[i]));
        }
        if (nx && (xx || gt || lt))
            return resp::error(out, "ERR NX and XX, GT or LT options at the same time are not compatible");
        if (gt && lt) return resp::error(out, "ERR GT and LT options at the same time are not compatible");
        const auto expires = time_of(a[2], u, name, out);
        if (!expires) return;
        auto* const at = keys_.find(a[1]);
        const std::int64_t before = at ? at->second.expires : never;
        if (!at || (nx && before != never) || (xx && before == never) || (gt && *expires <= before) ||
            (lt && *expires >= before))
            return resp::number(out, 0);
        let_expire(*at, *expires);
        resp::number(out, 1);
    }
    // At a time that has come, it goes at once.
    void let_expire(key_table::item& at, std::int64_t expires) {
        if (expires <= keys_.time()) keys_.erase(at);
        else keys_.expire(at, expires);
    }
    // In milliseconds; -1 if it does not expire, -2 if there is none.
    std::int64_t expires_at(std::string_view key) {
        const auto* at = keys_.find(key);
        if (!at) return -2;
        return at->second.expires == never ? -1 : at->second.expires;
    }
    std::int64_t time_left(std::string_view key) {
        const std::int64_t at = expires_at(key);
        return at < 0 ? at : at - keys_.time();
    }
    void add(std::string_view key, std::int64_t by, std::string& out) {
        auto* const at = keys_.find(key);
        std::int64_t n = 0;
        if (at && !integer(at->second.value, n)) return resp::error(out, not_an_integer);
        if (__builtin_add_overflow(n, by, &n))
            return resp::error(out, "ERR increment or decrement would overflow");
        if (at) at->second.value = std::to_string(n);
        else keys_.set(nullptr, key, std::to_string(n), never);
        resp::number(out, n);
    }
    void value(const key_table::item* at, std::string& out) {
        if (at) resp::bulk(out, at->second.value);
        else resp::null(out, version_);
    }
    bool add_key(std::size_t place, std::string_view pattern, std::string& out) {
        const auto& at = keys_.at(place);
        if (keys_.expired(at) || !matches(pattern, at.first)) return false;
        resp::bulk(out, at.first);
        return true;
    }

    key_table keys_;
    resp::version version_ = resp::version::resp2;
    std::size_t number_;
    std::size_t of_all_;
};

} // namespace kv
