#pragma once

// The reply to a command of which several shards have done a part each.

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../resp.hpp"

namespace kv {

/// Numbers are added, arrays joined; an error stands for all; of others the first does.
inline void merge(const std::vector<std::string>& parts, std::string& out) {
    for (const std::string& p : parts) {
        if (p[0] != '-') continue;
        out += p;
        return;
    }
    const char kind = parts.front()[0];
    if (kind != ':' && kind != '*') {
        out += parts.front();
        return;
    }
    std::int64_t sum = 0;
    std::string all;
    for (const std::string& p : parts) {
        std::int64_t n = 0;
        const char* const end = std::from_chars(p.data() + 1, p.data() + p.size(), n).ptr;
        sum += n;
        all.append(end + 2, p.data() + p.size());
    }
    resp::integer(out, kind, sum);
    out += all;
}

/// The values of several keys become an array, if none of them is an error.
inline void merge_values(const std::vector<std::string>& parts, std::string& out) {
    for (const std::string& p : parts) {
        if (p[0] != '-') continue;
        out += p;
        return;
    }
    resp::array(out, parts.size());
    for (const std::string& p : parts) out += p;
}

} // namespace kv
