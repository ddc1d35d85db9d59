#pragma once

// What a request asks for: the forms of its target (RFC 9112, section 3.2), and the path that this names.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "text.hpp"

namespace http {

/// A host and perhaps a port, as in a Host field: a name, an IPv4 address, or an IPv6 address in brackets.
inline bool is_authority(std::string_view text) {
    const std::size_t bracket = text.starts_with('[') ? text.find(']') : 0;
    if (bracket == text.npos) return false;
    const std::size_t colon = text.find(':', bracket);
    const std::string_view host = text.substr(0, colon);
    const std::string_view port = colon == text.npos ? std::string_view() : text.substr(colon + 1);
    if (bracket != 0 && host.size() != bracket + 1) return false;
    return all_are(bracket != 0 ? in_address : in_host, host) && is_number(port);
}

struct target_parts {
    std::string target;
    std::string host; // empty if none is named
};

/// Nothing for a target of no known form.
inline std::optional<target_parts> split_target(std::string_view method, std::string_view text) {
    if (text.empty() || !all_are(in_target, text)) return {};
    if (method == "CONNECT") {
        if (text.find(':') == text.npos || !is_authority(text)) return {};
        return target_parts{std::string(text), std::string(text)};
    }
    if (text.starts_with('/') || (text == "*" && method == "OPTIONS"))
        return target_parts{std::string(text), {}};
    const std::size_t scheme = text.find("://");
    if (scheme == text.npos) return {};
    if (!same_word(text.substr(0, scheme), "http") && !same_word(text.substr(0, scheme), "https")) return {};
    text.remove_prefix(scheme + 3);
    const std::size_t end = std::min(text.find_first_of("/?#"), text.size());
    const std::string_view host = text.substr(0, end);
    if (host.empty() || host.starts_with(':') || !is_authority(host)) return {};
    std::string path(text.substr(end));
    if (!path.starts_with('/')) path.insert(path.begin(), '/');
    return target_parts{std::move(path), std::string(host)};
}

/// The path below the root that a target names, decoded; nothing if it would lead out of there.
inline std::optional<std::string> path_of(std::string_view target) {
    target = target.substr(0, target.find_first_of("?#"));
    if (!target.starts_with('/')) return {};
    std::string path;
    for (std::size_t i = 0; i < target.size(); ++i) {
        char c = target[i];
        if (c == '%') {
            if (i + 2 >= target.size()) return {};
            const int high = hex_digit(target[i + 1]), low = hex_digit(target[i + 2]);
            if (high < 0 || low < 0) return {};
            c = static_cast<char>(high * 16 + low);
            i += 2;
        }
        if (c == '\0') return {};
        path += c;
    }
    for (std::size_t at = 0; at < path.size();) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        if (std::string_view(path).substr(at, end - at) == "..") return {};
        at = end + 1;
    }
    if (path.ends_with('/')) path += "index.html";
    return path;
}

/// Where a directory is that a target names without a slash at its end; nothing for one that ends with a
/// slash. As a path, since only proxies know by which scheme and host the client came.
inline std::optional<std::string> with_slash(std::string_view target) {
    target = target.substr(0, target.find('#'));
    const std::size_t query = std::min(target.find('?'), target.size());
    std::string_view path = target.substr(0, query);
    if (path.ends_with('/')) return {};
    while (path.starts_with("//")) path.remove_prefix(1); // two slashes would begin a host
    std::string out;
    for (const char c : path) {
        static constexpr char digits[] = "0123456789ABCDEF";
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x80) out += c;
        else out += {'%', digits[byte >> 4], digits[byte & 15]};
    }
    out += '/';
    out += target.substr(query);
    return out;
}

} // namespace http
