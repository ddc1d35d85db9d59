#pragma once

// The letters and words that HTTP is made of (RFC 9110, section 5.6).

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace http {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
constexpr bool is_letter(char c) noexcept { return lower(c) >= 'a' && lower(c) <= 'z'; }

/// What letters stand where; they combine.
enum letters : unsigned char {
    in_token = 1,   // a method, or the name of a field
    in_field = 2,   // the value of a field
    in_target = 4,  // all that is visible
    in_host = 8,    // a name or an IPv4 address
    in_address = 16 // an IPv6 address in brackets
};

namespace detail {

inline constexpr auto letter_table = [] {
    std::array<unsigned char, 256> is{};
    const auto add = [&is](std::string_view all, int what) {
        for (const char c : all) is[static_cast<unsigned char>(c)] |= static_cast<unsigned char>(what);
    };
    for (int c = 0; c < 256; ++c) {
        const char letter = static_cast<char>(c);
        if (is_digit(letter) || is_letter(letter)) add({&letter, 1}, in_token | in_host | in_address);
        if (c > ' ' && c != 0x7f) add({&letter, 1}, in_target | in_field);
    }
    add(" \t", in_field);
    add("!#$%&'*+-.^_`|~", in_token);
    add("-._~%!$&'()*+,;=", in_host);
    add("[]:.", in_address);
    return is;
}();

} // namespace detail

constexpr bool is(letters what, char c) noexcept {
    return (detail::letter_table[static_cast<unsigned char>(c)] & what) != 0;
}
constexpr bool all_are(letters what, std::string_view text) noexcept {
    for (const char c : text)
        if (!is(what, c)) return false;
    return true;
}
constexpr bool is_token(std::string_view text) noexcept { return !text.empty() && all_are(in_token, text); }
constexpr bool is_number(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c); });
}

/// The value of a hexadecimal digit; -1 if it is none.
constexpr int hex_digit(char c) noexcept {
    if (is_digit(c)) return c - '0';
    return lower(c) >= 'a' && lower(c) <= 'f' ? lower(c) - 'a' + 10 : -1;
}

/// Whether two words are the same, small and large letters alike.
constexpr bool same_word(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

constexpr std::string_view trimmed(std::string_view text) noexcept {
    const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

/// The items of a list with commas.
template <class F>
void for_each_item(std::string_view list, F f) {
    for (;;) {
        const std::size_t comma = list.find(',');
        if (const std::string_view item = trimmed(list.substr(0, comma)); !item.empty()) f(item);
        if (comma == list.npos) return;
        list.remove_prefix(comma + 1);
    }
}

} // namespace http
