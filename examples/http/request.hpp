#pragma once

// Requests of HTTP/1.x, parsed line by line as they come in (RFC 9112).
//
// Strict: what another server might read in another way is refused, since a proxy in between could be led to
// see other requests than this server does. So lines end with CRLF and nothing else, no field is folded, no
// space stands before a colon, there is one Host, and one clear length of the body.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "target.hpp"
#include "text.hpp"

namespace http {

inline constexpr std::size_t most_header_bytes = 16 << 10;
inline constexpr std::size_t most_chunk_line = 256;
inline constexpr std::uint64_t most_body_bytes = 1 << 20;

/// What the head of a request says, as far as this server wants to know.
struct request_head {
    std::string method;
    std::string target; // a path and a query, whichever form it had; "*"; of CONNECT the authority
    std::string host;   // that of the target, if there is one in it
    std::string range, if_range, if_none_match, if_modified_since;
    bool has_host_field = false;
    bool host_in_target = false;
    bool old = false; // HTTP/1.0
    bool says_close = false;
    bool says_keep_alive = false;
    bool expects_continue = false;
    bool chunked = false;
    std::optional<std::uint64_t> length;
};

class request {
public:
    /// Takes what it can of `bytes`, to the end of one request at most, and says how much that was. Bytes
    /// that it leaves come again the next time, with more behind them.
    std::size_t parse(std::string_view bytes) {
        std::size_t taken = 0;
        while (state_ != state::whole && wrong_ == 0) {
            const std::string_view rest = bytes.substr(taken);
            const std::size_t n = state_ == state::data ? take_data(rest) : take_line(rest);
            if (n == 0) break;
            taken += n;
        }
        return taken;
    }
    [[nodiscard]] bool begun() const noexcept { return begun_; }
    [[nodiscard]] bool whole() const noexcept { return state_ == state::whole; }
    /// The status to refuse it with; 0 as long as it is good.
    [[nodiscard]] int wrong() const noexcept { return wrong_; }
    /// Whether the client wants to hear "100 Continue" before it sends the body. True once.
    [[nodiscard]] bool wants_continue() noexcept {
        return state_ > state::field && state_ != state::whole && body_ == 0 && wrong_ == 0 &&
               std::exchange(head_->expects_continue, false);
    }
    /// Of one whose head has come.
    [[nodiscard]] const request_head& head() const noexcept { return *head_; }
    [[nodiscard]] bool is_get() const noexcept { return head_ && head_->method == "GET"; }
    [[nodiscard]] bool is_head() const noexcept { return head_ && head_->method == "HEAD"; }
    [[nodiscard]] bool is_old() const noexcept { return head_ && head_->old; }
    [[nodiscard]] bool keeps_alive() const noexcept {
        return !head_->says_close && (!head_->old || head_->says_keep_alive);
    }
    /// For the next one on the connection.
    void reset() { *this = request(); }

private:
    enum class state : std::uint8_t { start, field, data, chunk_size, chunk_end, trailer, whole };

    void refuse(int status) noexcept { wrong_ = status; }

    std::size_t take_data(std::string_view rest) {
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest.size()));
        left_ -= n;
        body_ += n;
        if (left_ == 0) state_ = head_->chunked ? state::chunk_end : state::whole;
        return n;
    }

    std::size_t take_line(std::string_view rest) {
        if (rest.empty()) return 0;
        if (!may_begin_with(rest)) return refuse(400), 0;
        const std::size_t end = rest.find('\n', scanned_);
        const std::size_t size = end == rest.npos ? rest.size() : end + 1;
        if (const int status = too_long(size); status != 0) return refuse(status), 0;
        if (end == rest.npos) {
            scanned_ = size;
            return 0;
        }
        scanned_ = 0;
        in_head_ += size;
        if (!rest.substr(0, size).ends_with("\r\n")) return refuse(400), 0;
        line(rest.substr(0, size - 2));
        return wrong_ == 0 ? size : 0;
    }
    /// What can be told from the first bytes: a client that speaks something else need not end its line.
    bool may_begin_with(std::string_view rest) {
        if (state_ == state::chunk_end) return rest[0] == '\r' && (rest.size() == 1 || rest[1] == '\n');
        if (state_ != state::start || rest[0] == '\r')
            return true; // an empty line before a request is skipped
        begun_ = true;
        return is(in_token, rest[0]);
    }
    [[nodiscard]] int too_long(std::size_t size) const noexcept {
        if (state_ == state::chunk_size) return size > most_chunk_line ? 400 : 0;
        if (state_ == state::chunk_end || in_head_ + size <= most_header_bytes) return 0;
        return state_ == state::start ? 414 : 431;
    }

    void line(std::string_view text) {
        switch (state_) {
            case state::start:
                if (text.empty()) break;
                head_ = std::make_unique<request_head>();
                request_line(text);
                state_ = state::field;
                break;
            case state::field:
                if (text.empty()) end_of_head();
                else if (!field(text)) refuse(400);
                break;
            case state::chunk_size: chunk_size(text); break;
            case state::chunk_end: state_ = state::chunk_size; break;
            case state::trailer:
                if (text.empty()) state_ = state::whole;
                else if (!split_field(text)) refuse(400);
                break;
            default: break;
        }
    }

    void request_line(std::string_view text) {
        const std::size_t first = text.find(' '), last = text.rfind(' ');
        if (first == text.npos || first == last) return refuse(400);
        const std::string_view method = text.substr(0, first), version = text.substr(last + 1);
        if (!is_token(method)) return refuse(400);
        if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) ||
            version[6] != '.' || !is_digit(version[7]))
            return refuse(400);
        if (version[5] != '1') return refuse(505);
        head_->old = version[7] == '0';
        head_->method = method;
        auto parts = split_target(method, text.substr(first + 1, last - first - 1));
        if (!parts) return refuse(400);
        head_->target = std::move(parts->target);
        head_->host = std::move(parts->host);
        head_->host_in_target = !head_->host.empty();
    }

    struct name_and_value {
        std::string_view name, value;
    };
    static std::optional<name_and_value> split_field(std::string_view text) {
        const std::size_t colon = text.find(':');
        if (colon == text.npos) return {};
        const std::string_view name = text.substr(0, colon), value = trimmed(text.substr(colon + 1));
        // A folded line begins with a space, which is in no name.
        if (!is_token(name) || !all_are(in_field, value)) return {};
        return name_and_value{name, value};
    }
    bool field(std::string_view text) {
        const auto parts = split_field(text);
        if (!parts) return false;
        const auto [name, value] = *parts;
        request_head& h = *head_;
        if (same_word(name, "Host")) return host(value);
        if (same_word(name, "Content-Length")) return length(value);
        if (same_word(name, "Transfer-Encoding")) return coding(value);
        if (same_word(name, "Connection")) {
            for_each_item(value, [&h](std::string_view item) {
                if (same_word(item, "close")) h.says_close = true;
                if (same_word(item, "keep-alive")) h.says_keep_alive = true;
            });
        } else if (same_word(name, "Expect")) {
            if (same_word(value, "100-continue")) h.expects_continue = !h.old;
            else if (!h.old) refuse(417);
        } else if (same_word(name, "Range")) {
            add_to_list(h.range, value);
        } else if (same_word(name, "If-Range")) {
            add_to_list(h.if_range, value);
        } else if (same_word(name, "If-None-Match")) {
            add_to_list(h.if_none_match, value);
        } else if (same_word(name, "If-Modified-Since")) {
            add_to_list(h.if_modified_since, value);
        }
        return true;
    }
    bool host(std::string_view value) {
        if (std::exchange(head_->has_host_field, true) || !is_authority(value)) return false;
        if (!head_->host_in_target) head_->host = value;
        return true;
    }
    bool length(std::string_view value) {
        if (head_->length || value.empty() || !is_number(value)) return false;
        std::uint64_t n = 0;
        const auto read = std::from_chars(value.data(), value.data() + value.size(), n);
        head_->length = read.ec == std::errc() ? n : ~std::uint64_t(0); // more than anybody takes
        return true;
    }
    bool coding(std::string_view value) {
        if (head_->chunked || head_->old) return false;
        head_->chunked = true;
        if (same_word(value, "chunked")) return true;
        const std::size_t comma = value.rfind(',');
        if (comma == value.npos || !same_word(trimmed(value.substr(comma + 1)), "chunked")) return false;
        refuse(501); // another coding below the chunks
        return true;
    }
    static void add_to_list(std::string& list, std::string_view value) {
        if (!list.empty()) list += ", ";
        list += value;
    }

    void end_of_head() {
        if (!head_->has_host_field && !head_->old) return refuse(400);
        if (head_->chunked && head_->length) return refuse(400);
        if (head_->chunked) {
            state_ = state::chunk_size;
            return;
        }
        left_ = head_->length.value_or(0);
        if (left_ > most_body_bytes) return refuse(413);
        state_ = left_ == 0 ? state::whole : state::data;
    }
    void chunk_size(std::string_view text) {
        std::uint64_t size = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size, 16);
        const std::string_view extension = text.substr(static_cast<std::size_t>(end - text.data()));
        if (error == std::errc::invalid_argument) return refuse(400);
        if (!extension.empty() && (extension[0] != ';' || !all_are(in_field, extension))) return refuse(400);
        if (error != std::errc() || size > most_body_bytes - body_) return refuse(413);
        left_ = size;
        state_ = size == 0 ? state::trailer : state::data;
    }

    std::unique_ptr<request_head> head_; // an idle connection has none
    state state_ = state::start;
    bool begun_ = false;
    int wrong_ = 0;
    std::size_t in_head_ = 0;
    std::size_t scanned_ = 0; // of a line that has not ended: there is no '\n' in so many bytes
    std::uint64_t left_ = 0;  // of the body or the chunk
    std::uint64_t body_ = 0;
};

} // namespace http
