#pragma once

// Words, numbers and patterns, as Redis understands them.

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace kv {

using arguments = std::vector<std::string_view>;

constexpr std::string_view not_an_integer = "ERR value is not an integer or out of range";
constexpr std::string_view syntax_error = "ERR syntax error";

struct text_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>()(s); }
};

/// Whether `given` is `name`, which is in capitals, in any case.
inline bool is(std::string_view given, std::string_view name) {
    return given.size() == name.size() &&
           std::equal(given.begin(), given.end(), name.begin(),
                      [](char a, char b) { return std::toupper(static_cast<unsigned char>(a)) == b; });
}
inline std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

/// Reads a number as Redis writes it: no sign but a minus, no zeros before it, nothing after it.
inline bool integer(std::string_view text, std::int64_t& n) {
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (text.empty() || ec != std::errc() || end != text.data() + text.size()) return false;
    const std::string_view digits = text.substr(text[0] == '-');
    return digits[0] != '0' || text == "0";
}

/// Takes one element from the front of a pattern: `?`, `[a-z]`, `[^ab]`, `\x` or a character as it is. Gives
/// whether `c` is one of those that it stands for.
inline bool take_element(std::string_view& pattern, char c) {
    const auto take = [&pattern] {
        if (pattern.size() > 1 && pattern[0] == '\\') pattern.remove_prefix(1);
        const char taken = pattern[0];
        pattern.remove_prefix(1);
        return static_cast<unsigned char>(taken);
    };
    const bool any = pattern[0] == '?';
    if (pattern[0] != '[') {
        const auto taken = take();
        return any || taken == static_cast<unsigned char>(c);
    }
    pattern.remove_prefix(1);
    const bool inverse = pattern.starts_with('^');
    if (inverse) pattern.remove_prefix(1);
    bool found = false;
    while (!pattern.empty() && pattern[0] != ']') {
        auto least = take(), most = least;
        if (pattern.size() > 1 && pattern[0] == '-') {
            pattern.remove_prefix(1);
            most = take();
        }
        if (least > most) std::swap(least, most);
        found = found || (least <= static_cast<unsigned char>(c) && static_cast<unsigned char>(c) <= most);
    }
    if (!pattern.empty()) pattern.remove_prefix(1);
    return found != inverse;
}

/// Whether the text has the form of the pattern, in which `*` stands for any characters.
inline bool matches(std::string_view pattern, std::string_view text) {
    // Only the last `*` may have to take more: all before it have found the earliest place that fits.
    std::string_view after_star, rest;
    bool star = false;
    for (;;) {
        if (pattern.starts_with('*')) {
            pattern.remove_prefix(1);
            star = true;
            after_star = pattern;
            rest = text;
        } else if (pattern.empty() && text.empty()) {
            return true;
        } else if (!pattern.empty() && !text.empty() && take_element(pattern, text[0])) {
            text.remove_prefix(1);
        } else {
            if (!star || rest.empty()) return false;
            rest.remove_prefix(1);
            pattern = after_star;
            text = rest;
        }
    }
}

} // namespace kv
