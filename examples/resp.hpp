#pragma once

// Redis's protocol: commands as they come in, and replies in RESP2 and RESP3.

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace resp {

inline constexpr std::size_t most_arguments = 1 << 20;
inline constexpr std::size_t longest_argument = std::size_t(64) << 20;
inline constexpr std::size_t longest_line = 64 << 10; // of a command that is typed in
inline constexpr std::size_t longest_command = std::size_t(256) << 20;

enum class parsed { whole, part, wrong };

/// Finds commands in bytes as they arrive. It remembers how far it has come, so that bytes that come one at a
/// time cost no more than all at once.
class parser {
public:
    /// Looks for the next command in `in`, which begins where the last one ended, and holds at least what the
    /// call before saw. `whole`: `arguments()` are views into `in`, or into the parser if they were
    /// `quoted()`, and `size()` says how much of `in` they were. `wrong`: `error()` says why, and the stream
    /// cannot be understood any further.
    parsed next(std::string_view in) {
        for (;;) {
            parsed p = parsed::whole;
            switch (state_) {
                case state::begin:
                    if (in.empty()) return parsed::part;
                    parts_.clear();
                    unquoted_.clear();
                    at_ = searched_ = 0;
                    state_ = in.front() == '*' ? state::count : state::line;
                    break;
                case state::count: p = take_count(in); break;
                case state::length: p = take_length(in); break;
                case state::bytes: p = take_bytes(in); break;
                case state::line: p = take_line(in); break;
            }
            if (p != parsed::whole) return p;
            if (state_ == state::begin) return finish(in);
        }
    }
    [[nodiscard]] const std::vector<std::string_view>& arguments() const noexcept { return arguments_; }
    /// Whether the arguments came in quotes: they are valid until the next call only.
    [[nodiscard]] bool quoted() const noexcept { return !unquoted_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return at_; }
    [[nodiscard]] const char* error() const noexcept { return error_; }
    /// How many bytes more it needs at least, where that is known.
    [[nodiscard]] std::size_t wants(std::size_t have) const noexcept {
        return state_ == state::bytes && at_ + length_ + 2 > have ? at_ + length_ + 2 - have : 1;
    }

private:
    enum class state { begin, count, length, bytes, line };

    parsed refuse(const char* why) {
        error_ = why;
        return parsed::wrong;
    }
    // The number after the mark at `at_`, to the end of its line.
    parsed take_number(std::string_view in, std::int64_t most, std::int64_t& n, const char* wrong) {
        const auto end = in.find('\n', std::max(at_, searched_));
        constexpr std::size_t longest_number = 32;
        if (std::min(end, in.size()) - at_ > longest_number) return refuse(wrong);
        if (end == std::string_view::npos) {
            searched_ = in.size();
            return parsed::part;
        }
        std::string_view digits = in.substr(at_ + 1, end - at_ - 1);
        if (!digits.empty() && digits.back() == '\r') digits.remove_suffix(1);
        const auto [to, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
        if (digits.empty() || ec != std::errc() || to != digits.data() + digits.size() || n > most)
            return refuse(wrong);
        at_ = end + 1;
        return parsed::whole;
    }
    parsed take_count(std::string_view in) {
        std::int64_t n = 0;
        const parsed p = take_number(in, most_arguments, n, "invalid multibulk length");
        if (p != parsed::whole) return p;
        left_ = n < 0 ? 0 : static_cast<std::size_t>(n);
        state_ = left_ == 0 ? state::begin : state::length;
        return p;
    }
    parsed take_length(std::string_view in) {
        if (at_ >= in.size()) return parsed::part;
        if (in[at_] != '$') {
            unquoted_ = std::string("expected '$', got '") + in[at_] + "'";
            return refuse(unquoted_.c_str());
        }
        std::int64_t n = 0;
        const parsed p = take_number(in, longest_argument, n, "invalid bulk length");
        if (p != parsed::whole) return p;
        if (n < 0) return refuse("invalid bulk length");
        length_ = static_cast<std::size_t>(n);
        if (at_ + length_ > longest_command) return refuse("too big command");
        state_ = state::bytes;
        return p;
    }
    parsed take_bytes(std::string_view in) {
        if (in.size() < at_ + length_ + 2) return parsed::part;
        if (in[at_ + length_] != '\r' || in[at_ + length_ + 1] != '\n') return refuse("expected CRLF");
        parts_.emplace_back(at_, length_);
        at_ += length_ + 2;
        state_ = --left_ == 0 ? state::begin : state::length;
        return parsed::whole;
    }
    parsed take_line(std::string_view in) {
        const auto end = in.find('\n', searched_);
        if (std::min(end, in.size()) > longest_line) return refuse("too big inline request");
        if (end == std::string_view::npos) {
            searched_ = in.size();
            return parsed::part;
        }
        const std::string_view text = in.substr(0, end);
        at_ = end + 1;
        state_ = state::begin;
        if (text.find_first_of("\"'") != std::string_view::npos) return take_quoted(text);
        for (std::size_t i = 0; (i = text.find_first_not_of(blanks, i)) != std::string_view::npos;) {
            const std::size_t to = std::min(text.find_first_of(blanks, i), text.size());
            parts_.emplace_back(i, to - i);
            i = to;
        }
        return parsed::whole;
    }
    // A line with quotes in it: "a\x20b\n" with escapes, 'a b' without any but \'.
    parsed take_quoted(std::string_view text) {
        unquoted_ = ' '; // not empty, whatever the arguments are
        for (std::size_t i = 0; (i = text.find_first_not_of(blanks, i)) != std::string_view::npos;) {
            const std::size_t begin = unquoted_.size();
            while (i < text.size() && blanks.find(text[i]) == std::string_view::npos) {
                const char c = text[i++];
                if (c != '"' && c != '\'') {
                    unquoted_ += c;
                    continue;
                }
                while (i < text.size() && text[i] != c) i = take_character(text, i, c);
                const bool closed = i < text.size();
                if (!closed || (++i < text.size() && blanks.find(text[i]) == std::string_view::npos))
                    return refuse("unbalanced quotes in request");
            }
            parts_.emplace_back(begin, unquoted_.size() - begin);
        }
        return parsed::whole;
    }
    // Takes one character within quotes, an escaped one perhaps; gives where the next one begins.
    std::size_t take_character(std::string_view text, std::size_t i, char quote) {
        const auto next = [&](std::size_t n) { return i + n < text.size() ? text[i + n] : '\0'; };
        if (text[i] != '\\' || i + 1 == text.size() || (quote == '\'' && next(1) != '\'')) {
            unquoted_ += text[i];
            return i + 1;
        }
        if (next(1) == 'x' && std::isxdigit(static_cast<unsigned char>(next(2))) &&
            std::isxdigit(static_cast<unsigned char>(next(3)))) {
            unsigned code = 0;
            std::from_chars(text.data() + i + 2, text.data() + i + 4, code, 16);
            unquoted_ += static_cast<char>(code);
            return i + 4;
        }
        constexpr std::string_view names = "nrtba", meanings = "\n\r\t\b\a";
        const auto named = names.find(next(1));
        unquoted_ += named == std::string_view::npos ? next(1) : meanings[named];
        return i + 2;
    }
    parsed finish(std::string_view in) {
        arguments_.clear();
        const std::string_view from = quoted() ? std::string_view(unquoted_) : in;
        for (const auto& [at, size] : parts_) arguments_.push_back(from.substr(at, size));
        return parsed::whole;
    }

    static constexpr std::string_view blanks = " \t\r\v\f";

    state state_ = state::begin;
    std::size_t at_ = 0;       // parsed so far
    std::size_t searched_ = 0; // no end of line before here
    std::size_t left_ = 0;     // arguments to come
    std::size_t length_ = 0;   // of the one that comes
    std::vector<std::pair<std::size_t, std::size_t>> parts_;
    std::string unquoted_; // the arguments of a line with quotes in it
    std::vector<std::string_view> arguments_;
    const char* error_ = "";
};

// Replies, added to what is to be sent.

inline void line(std::string& out, char kind, std::string_view text) {
    out += kind;
    out += text;
    out += "\r\n";
}
inline void integer(std::string& out, char kind, std::int64_t n) {
    char digits[24];
    const auto [end, ec] = std::to_chars(digits, digits + sizeof digits, n);
    static_cast<void>(ec); // there is room
    line(out, kind, std::string_view(digits, static_cast<std::size_t>(end - digits)));
}
inline void simple(std::string& out, std::string_view text) { line(out, '+', text); }
/// A text may quote what the client has sent: ends of lines in it become blanks.
inline void error(std::string& out, std::string_view text) {
    const std::size_t begin = out.size();
    line(out, '-', text);
    std::replace_if(
        out.begin() + static_cast<std::ptrdiff_t>(begin), out.end() - 2,
        [](char c) { return c == '\r' || c == '\n'; }, ' ');
}
inline void number(std::string& out, std::int64_t n) { integer(out, ':', n); }
inline void array(std::string& out, std::size_t n) { integer(out, '*', static_cast<std::int64_t>(n)); }
inline void bulk(std::string& out, std::string_view text) {
    integer(out, '$', static_cast<std::int64_t>(text.size()));
    out += text;
    out += "\r\n";
}

// Those that RESP3 has, and RESP2 writes in another way.

enum class version { resp2 = 2, resp3 = 3 };

inline void null(std::string& out, version v) { out += v == version::resp3 ? "_\r\n" : "$-1\r\n"; }
inline void map(std::string& out, std::size_t pairs, version v) {
    const bool has = v == version::resp3;
    integer(out, has ? '%' : '*', static_cast<std::int64_t>(has ? pairs : 2 * pairs));
}
/// What the client has not asked for.
inline void push(std::string& out, std::size_t n, version v) {
    integer(out, v == version::resp3 ? '>' : '*', static_cast<std::int64_t>(n));
}

} // namespace resp
