#pragma once

// Which commands there are, how many arguments they take, and who answers them.

#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include "shard.hpp"

namespace kv {

/// Who answers a command: the session itself; or the shard of its key, of all its keys, or every shard.
enum class target { session, key, keys, pairs, every, scan };

struct command {
    const char* name;
    std::size_t least, most; // arguments, its name among them
    target to;
    shard::command run = nullptr;
};

inline constexpr std::size_t any = ~std::size_t(0);
inline constexpr command commands[] = {
    {"GET", 2, 2, target::key, &shard::get},
    {"SET", 3, any, target::key, &shard::set},
    {"SETNX", 3, 3, target::key, &shard::setnx},
    {"SETEX", 4, 4, target::key, &shard::setex},
    {"PSETEX", 4, 4, target::key, &shard::psetex},
    {"GETSET", 3, 3, target::key, &shard::getset},
    {"GETDEL", 2, 2, target::key, &shard::getdel},
    {"GETEX", 2, any, target::key, &shard::getex},
    {"STRLEN", 2, 2, target::key, &shard::strlen},
    {"APPEND", 3, 3, target::key, &shard::append},
    {"TYPE", 2, 2, target::key, &shard::type},
    {"INCR", 2, 2, target::key, &shard::incr},
    {"DECR", 2, 2, target::key, &shard::decr},
    {"INCRBY", 3, 3, target::key, &shard::incrby},
    {"DECRBY", 3, 3, target::key, &shard::decrby},
    {"EXPIRE", 3, any, target::key, &shard::expire},
    {"PEXPIRE", 3, any, target::key, &shard::pexpire},
    {"EXPIREAT", 3, any, target::key, &shard::expireat},
    {"PEXPIREAT", 3, any, target::key, &shard::pexpireat},
    {"TTL", 2, 2, target::key, &shard::ttl},
    {"PTTL", 2, 2, target::key, &shard::pttl},
    {"EXPIRETIME", 2, 2, target::key, &shard::expiretime},
    {"PEXPIRETIME", 2, 2, target::key, &shard::pexpiretime},
    {"PERSIST", 2, 2, target::key, &shard::persist},
    {"DEL", 2, any, target::keys, &shard::del},
    {"UNLINK", 2, any, target::keys, &shard::del},
    {"EXISTS", 2, any, target::keys, &shard::exists},
    {"MGET", 2, any, target::keys, &shard::mget},
    {"MSET", 3, any, target::pairs, &shard::mset},
    {"MSETNX", 3, any, target::pairs, &shard::msetnx},
    {"KEYS", 2, 2, target::every, &shard::keys},
    {"DBSIZE", 1, 1, target::every, &shard::dbsize},
    {"FLUSHALL", 1, 2, target::every, &shard::flush},
    {"FLUSHDB", 1, 2, target::every, &shard::flush},
    {"SCAN", 2, any, target::scan, &shard::scan},
    {"PING", 1, 2, target::session},
    {"ECHO", 2, 2, target::session},
    {"HELLO", 1, any, target::session},
    {"QUIT", 1, any, target::session},
    {"SELECT", 2, 2, target::session},
    {"INFO", 1, any, target::session},
    {"CLIENT", 2, any, target::session},
    {"CONFIG", 2, any, target::session},
    {"COMMAND", 1, any, target::session},
    {"MULTI", 1, 1, target::session},
    {"EXEC", 1, 1, target::session},
    {"DISCARD", 1, 1, target::session},
    {"PUBLISH", 3, 3, target::session},
    {"SUBSCRIBE", 2, any, target::session},
    {"UNSUBSCRIBE", 1, any, target::session},
    {"PSUBSCRIBE", 2, any, target::session},
    {"PUNSUBSCRIBE", 1, any, target::session},
};

/// The command of that name, in any case, or none.
inline const command* find_command(std::string_view name) {
    static const auto index = [] {
        std::unordered_map<std::string_view, const command*> out;
        for (const command& c : commands) out.emplace(c.name, &c);
        return out;
    }();
    char capitals[16];
    if (name.size() > sizeof capitals) return nullptr;
    for (std::size_t i = 0; i < name.size(); ++i)
        capitals[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[i])));
    const auto at = index.find(std::string_view(capitals, name.size()));
    return at == index.end() ? nullptr : at->second;
}

} // namespace kv
