#pragma once

// What clients and tools ask about the server, and tell about themselves: HELLO, CLIENT, CONFIG, COMMAND.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <string>
#include <string_view>
#include <utility>

#include "../resp.hpp"
#include "commands.hpp"
#include "text.hpp"

namespace kv {

/// Whose protocol it is, for clients that ask.
constexpr std::string_view redis_version = "7.0.0";

/// What is known of a client.
struct client_facts {
    std::uint64_t number = 0;
    std::string name;
    resp::version version = resp::version::resp2;
};

namespace detail {

inline void unknown_subcommand(const arguments& a, std::string& out) {
    std::string text = "ERR unknown subcommand '";
    text += a[1].substr(0, 128);
    text += "'. Try " + std::string(find_command(a[0])->name) + " HELP.";
    resp::error(out, text);
}

inline bool set_name(client_facts& who, std::string_view name, std::string& out) {
    for (const char c : name) {
        if (c >= '!' && c <= '~') continue;
        resp::error(out, "ERR Client names cannot contain spaces, newlines or special characters.");
        return false;
    }
    who.name = name;
    return true;
}

inline std::string describe(const client_facts& who) {
    std::string text = "id=" + std::to_string(who.number);
    text += " name=" + who.name + " db=0 resp=" + std::to_string(static_cast<int>(who.version)) + "\n";
    return text;
}
/// CLIENT LIST [ID number...]
inline void list_clients(const std::list<client_facts>& everyone, const arguments& a, std::string& out) {
    const bool some = a.size() > 3 && is(a[2], "ID");
    if (a.size() > 2 && !some) return resp::error(out, syntax_error);
    std::string text;
    for (const client_facts& who : everyone) {
        const std::string number = std::to_string(who.number);
        if (!some || std::find(a.begin() + 3, a.end(), number) != a.end()) text += describe(who);
    }
    resp::bulk(out, text);
}

inline void describe(const command& c, std::string& out) {
    const bool has_key = c.to == target::key || c.to == target::keys || c.to == target::pairs;
    const auto least = static_cast<std::int64_t>(c.least);
    resp::array(out, 6);
    resp::bulk(out, lower(c.name));
    resp::number(out, c.least == c.most ? least : -least);
    resp::array(out, 0); // flags
    resp::number(out, has_key);
    resp::number(out, !has_key ? 0 : c.to == target::key ? 1 : -1);
    resp::number(out, !has_key ? 0 : c.to == target::pairs ? 2 : 1);
}

} // namespace detail

/// HELLO [2|3 [AUTH user password] [SETNAME name]]: which version of the protocol is spoken from here on.
inline void hello(client_facts& who, const arguments& a, std::string& out) {
    client_facts next = who;
    if (a.size() > 1) {
        std::int64_t n = 0;
        if (!integer(a[1], n))
            return resp::error(out, "ERR Protocol version is not an integer or out of range");
        if (n != 2 && n != 3) return resp::error(out, "NOPROTO unsupported protocol version");
        next.version = static_cast<resp::version>(n);
    }
    for (std::size_t i = 2; i < a.size();) {
        if (is(a[i], "AUTH") && i + 2 < a.size()) { // there are no passwords: anything is right
            if (a[i + 1] != "default")
                return resp::error(out, "WRONGPASS invalid username-password pair or user is disabled.");
            i += 3;
        } else if (is(a[i], "SETNAME") && i + 1 < a.size()) {
            if (!detail::set_name(next, a[i + 1], out)) return;
            i += 2;
        } else {
            return resp::error(out,
                               "ERR Syntax error in HELLO option '" + std::string(a[i].substr(0, 128)) + "'");
        }
    }
    who = std::move(next);
    resp::map(out, 7, who.version);
    const auto text = [&out](std::string_view key, std::string_view value) {
        resp::bulk(out, key);
        resp::bulk(out, value);
    };
    text("server", "redis");
    text("version", redis_version);
    resp::bulk(out, "proto");
    resp::number(out, static_cast<int>(who.version));
    resp::bulk(out, "id");
    resp::number(out, static_cast<std::int64_t>(who.number));
    text("mode", "standalone");
    text("role", "master");
    resp::bulk(out, "modules");
    resp::array(out, 0);
}

/// CLIENT ID|GETNAME|SETNAME|SETINFO|INFO|LIST|NO-EVICT|NO-TOUCH|REPLY ON
inline void client(client_facts& who, const std::list<client_facts>& everyone, const arguments& a,
                   std::string& out) {
    if (is(a[1], "ID") && a.size() == 2) {
        resp::number(out, static_cast<std::int64_t>(who.number));
    } else if (is(a[1], "GETNAME") && a.size() == 2) {
        if (who.name.empty()) resp::null(out, who.version);
        else resp::bulk(out, who.name);
    } else if (is(a[1], "SETNAME") && a.size() == 3) {
        if (detail::set_name(who, a[2], out)) resp::simple(out, "OK");
    } else if (is(a[1], "INFO") && a.size() == 2) {
        resp::bulk(out, detail::describe(who));
    } else if (is(a[1], "LIST")) {
        detail::list_clients(everyone, a, out);
    } else if ((is(a[1], "SETINFO") && a.size() == 4) ||
               (is(a[1], "REPLY") && a.size() == 3 && is(a[2], "ON"))) {
        resp::simple(out, "OK");
    } else if ((is(a[1], "NO-EVICT") || is(a[1], "NO-TOUCH")) && a.size() == 3) {
        if (is(a[2], "ON") || is(a[2], "OFF")) resp::simple(out, "OK");
        else resp::error(out, syntax_error);
    } else {
        detail::unknown_subcommand(a, out);
    }
}

/// CONFIG GET pattern... | SET name value... | RESETSTAT. Nothing can be set to anything else than it is.
inline void config(const client_facts& who, const arguments& a, std::string& out) {
    static constexpr std::pair<std::string_view, std::string_view> all[] = {
        {"appendonly", "no"},
        {"databases", "1"},
        {"maxmemory", "0"},
        {"maxmemory-policy", "noeviction"},
        {"notify-keyspace-events", ""},
        {"save", ""},
        {"timeout", "0"},
    };
    if (is(a[1], "GET") && a.size() > 2) {
        std::string found;
        std::size_t n = 0;
        for (const auto& [name, value] : all) {
            if (std::none_of(a.begin() + 2, a.end(), [&](auto p) { return matches(lower(p), name); }))
                continue;
            resp::bulk(found, name);
            resp::bulk(found, value);
            ++n;
        }
        resp::map(out, n, who.version);
        out += found;
    } else if (is(a[1], "SET") && a.size() > 2 && a.size() % 2 == 0) {
        for (std::size_t i = 2; i < a.size(); i += 2) {
            const auto* at = std::find_if(std::begin(all), std::end(all),
                                          [&](const auto& s) { return s.first == lower(a[i]); });
            const std::string name = lower(a[i].substr(0, 128));
            if (at == std::end(all))
                return resp::error(out, "ERR Unknown option or number of arguments for CONFIG SET - '" +
                                            name + "'");
            if (at->second != a[i + 1])
                return resp::error(out, "ERR CONFIG SET failed (possibly related to argument '" + name +
                                            "') - can't set immutable config");
        }
        resp::simple(out, "OK");
    } else if (is(a[1], "RESETSTAT")) {
        resp::simple(out, "OK");
    } else {
        detail::unknown_subcommand(a, out);
    }
}

namespace detail {

/// COMMAND LIST [FILTERBY PATTERN pattern|MODULE name|ACLCAT name]. There are no modules, and no categories.
inline void list_commands(const arguments& a, std::string& out) {
    const bool filter = a.size() == 5 && is(a[2], "FILTERBY");
    const bool by_name = filter && is(a[3], "PATTERN");
    const bool none = filter && (is(a[3], "MODULE") || is(a[3], "ACLCAT"));
    if (a.size() != 2 && !by_name && !none) return resp::error(out, syntax_error);
    std::string found;
    std::size_t n = 0;
    for (const command& c : commands) {
        if (none || (by_name && !matches(lower(a[4]), lower(c.name)))) continue;
        resp::bulk(found, lower(c.name));
        ++n;
    }
    resp::array(out, n);
    out += found;
}

} // namespace detail

/// COMMAND [COUNT|LIST|INFO name...|DOCS]
inline void command_info(const client_facts& who, const arguments& a, std::string& out) {
    if (a.size() == 1) {
        resp::array(out, std::size(commands));
        for (const command& c : commands) detail::describe(c, out);
    } else if (is(a[1], "COUNT")) {
        resp::number(out, std::size(commands));
    } else if (is(a[1], "LIST")) {
        detail::list_commands(a, out);
    } else if (is(a[1], "INFO")) {
        resp::array(out, a.size() - 2);
        for (std::size_t i = 2; i < a.size(); ++i) {
            if (const command* c = find_command(a[i])) detail::describe(*c, out);
            else resp::null(out, who.version);
        }
    } else if (is(a[1], "DOCS")) {
        resp::map(out, 0, who.version);
    } else {
        detail::unknown_subcommand(a, out);
    }
}

} // namespace kv
