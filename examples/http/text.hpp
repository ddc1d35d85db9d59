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

namespace detail {

inline constexpr auto token_chars = [] {
    std::array<bool, 256> is{};
    for (int c = 0; c < 128; ++c) is[c] = is_digit(static_cast<char>(c)) || is_letter(static_cast<char>(c));
    for (const char c : std::string_view("!#$%&'*+-.^_`|~")) is[static_cast<unsigned char>(c)] = true;
    return is;
}();

} // namespace detail

/// Of a method or a field's name.
constexpr bool is_token_char(char c) noexcept { return detail::token_chars[static_cast<unsigned char>(c)]; }
constexpr bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}
/// Visible, and of no special meaning to lines.
constexpr bool is_visible(char c) noexcept { return static_cast<unsigned char>(c) > ' ' && c != '\x7f'; }
constexpr bool is_field_char(char c) noexcept { return is_visible(c) || c == ' ' || c == '\t'; }

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
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == text.npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
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
