#pragma once

// Text from one user for the terminals of others: nothing in it may move the cursor or change what is shown.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

/// How long the UTF-8 character is with which the text begins; 0 if that is none. `code` becomes what it is.
inline std::size_t decode_utf8(std::string_view text, char32_t& code) {
    const auto byte = [&text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    const std::size_t size = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
    if (size == 0 || size > text.size()) return 0;
    code = size == 1 ? first : first & (0x7fu >> size);
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
        code = code << 6 | (byte(i) & 0x3fu);
    }
    const bool too_long = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return too_long || surrogate || code > 0x10ffff ? 0 : size;
}

/// Whether it is shown as a character of its own: no control, no end of line or paragraph, and nothing that
/// turns the direction of what follows.
inline bool is_shown(char32_t code) {
    const auto within = [code](char32_t least, char32_t most) { return code >= least && code <= most; };
    return code >= 0x20 && !within(0x7f, 0x9f) && !within(0x200e, 0x200f) && !within(0x2028, 0x202e) &&
           !within(0x2066, 0x2069);
}

/// The text with a blank for each tab, and U+FFFD for every other control and every byte that is no UTF-8.
inline std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        char32_t code = 0;
        const std::size_t size = decode_utf8(text, code);
        if (size == 1 && code == '\t') out += ' ';
        else if (size != 0 && is_shown(code)) out += text.substr(0, size);
        else out += "\xef\xbf\xbd";
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return out;
}
