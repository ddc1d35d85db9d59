#pragma once

// Redis's protocol, RESP2: commands as they come in, and replies.

#include <algorithm>
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
    /// call before saw. `whole`: `arguments()` are views into `in`, and `size()` says how much of it they
    /// were. `wrong`: `error()` says why, and the stream cannot be understood any further.
    parsed next(std::string_view in) {
        for (;;) {
            parsed p = parsed::whole;
            switch (state_) {
                case state::begin:
                    if (in.empty()) return parsed::part;
                    parts_.clear();
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
        if (in[at_] != '$') return refuse("expected '$'");
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
        const auto blank = [&](std::size_t i) { return in[i] == ' ' || in[i] == '\t' || in[i] == '\r'; };
        for (std::size_t i = 0; i < end;) {
            if (blank(i)) {
                ++i;
                continue;
            }
            std::size_t to = i;
            while (to < end && !blank(to)) ++to;
            parts_.emplace_back(i, to - i);
            i = to;
        }
        at_ = end + 1;
        state_ = state::begin;
        return parsed::whole;
    }
    parsed finish(std::string_view in) {
        arguments_.clear();
        for (const auto& [at, size] : parts_) arguments_.push_back(in.substr(at, size));
        return parsed::whole;
    }

    state state_ = state::begin;
    std::size_t at_ = 0;       // parsed so far
    std::size_t searched_ = 0; // no end of line before here
    std::size_t left_ = 0;     // arguments to come
    std::size_t length_ = 0;   // of the one that comes
    std::vector<std::pair<std::size_t, std::size_t>> parts_;
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
inline void error(std::string& out, std::string_view text) { line(out, '-', text); }
inline void number(std::string& out, std::int64_t n) { integer(out, ':', n); }
inline void array(std::string& out, std::size_t n) { integer(out, '*', static_cast<std::int64_t>(n)); }
inline void null(std::string& out) { out += "$-1\r\n"; }
inline void bulk(std::string& out, std::string_view text) {
    integer(out, '$', static_cast<std::int64_t>(text.size()));
    out += text;
    out += "\r\n";
}

} // namespace resp
