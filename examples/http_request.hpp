#pragma once

// Requests of HTTP/1.1, as they come in, and the paths they name.

#include <http_parser.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace http {

inline constexpr std::size_t most_header_bytes = 16 << 10;
inline constexpr std::uint64_t most_body_bytes = 1 << 20;

/// A request as http_parser finds it.
class request {
public:
    enum class state { head, body, whole };

    request() { reset_parser(); }
    /// Parses, to the end of one request at most; gives how many bytes that were.
    std::size_t parse(std::string_view bytes) {
        http_parser_pause(&parser_, 0);
        const std::size_t n = http_parser_execute(&parser_, &callbacks(), bytes.data(), bytes.size());
        if (state_ != state::whole) in_head_ = state_ == state::head ? in_head_ + n : in_head_;
        return n;
    }
    [[nodiscard]] bool begun() const noexcept { return begun_; }
    [[nodiscard]] bool whole() const noexcept { return state_ == state::whole; }
    /// The status to refuse it with; 0 as long as it is good.
    [[nodiscard]] int wrong() const noexcept {
        if (refused_ != 0) return refused_;
        const auto e = HTTP_PARSER_ERRNO(&parser_);
        if (e == HPE_OK || e == HPE_PAUSED) return in_head_ > most_header_bytes ? 431 : 0;
        return e == HPE_HEADER_OVERFLOW ? 431 : 400;
    }
    [[nodiscard]] bool is_get() const noexcept { return parser_.method == HTTP_GET; }
    [[nodiscard]] bool is_head() const noexcept { return parser_.method == HTTP_HEAD; }
    [[nodiscard]] bool keeps_alive() const noexcept { return keeps_alive_; }
    [[nodiscard]] const std::string& target() const noexcept { return target_; }
    /// For the next one on the connection.
    void reset() {
        target_.clear();
        begun_ = false;
        state_ = state::head;
        in_head_ = 0;
        body_ = 0;
    }

private:
    void reset_parser() {
        http_parser_init(&parser_, HTTP_REQUEST);
        parser_.data = this;
    }
    static request& of(http_parser* p) { return *static_cast<request*>(p->data); }
    static const http_parser_settings& callbacks() {
        static const http_parser_settings all = [] {
            http_parser_settings s;
            http_parser_settings_init(&s);
            s.on_message_begin = [](http_parser* p) { return of(p).begun_ = true, 0; };
            s.on_url = [](http_parser* p, const char* at, std::size_t n) {
                of(p).target_.append(at, n);
                if (of(p).target_.size() > most_header_bytes) of(p).refused_ = 414;
                return of(p).refused_ != 0 ? 1 : 0;
            };
            s.on_headers_complete = [](http_parser* p) {
                request& r = of(p);
                r.state_ = state::body;
                r.keeps_alive_ = http_should_keep_alive(p) != 0;
                if (p->content_length != ~std::uint64_t(0) && p->content_length > most_body_bytes)
                    r.refused_ = 413;
                return 0;
            };
            s.on_body = [](http_parser* p, const char*, std::size_t n) {
                request& r = of(p);
                r.body_ += n;
                if (r.body_ > most_body_bytes) r.refused_ = 413;
                return 0;
            };
            s.on_message_complete = [](http_parser* p) {
                of(p).state_ = state::whole;
                http_parser_pause(p, 1); // what follows is the next request
                return 0;
            };
            return s;
        }();
        return all;
    }

    http_parser parser_;
    std::string target_;
    state state_ = state::head;
    bool begun_ = false;
    bool keeps_alive_ = false;
    int refused_ = 0;
    std::size_t in_head_ = 0;
    std::uint64_t body_ = 0;
};

/// The path below the root that a target names, decoded; nothing if it would lead out of there.
inline std::optional<std::string> path_of(std::string_view target) {
    target = target.substr(0, target.find_first_of("?#"));
    if (!target.starts_with('/')) return {};
    const auto digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        const char lower = static_cast<char>(c | 0x20);
        return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    };
    std::string path;
    for (std::size_t i = 0; i < target.size(); ++i) {
        char c = target[i];
        if (c == '%') {
            if (i + 2 >= target.size()) return {};
            const int high = digit(target[i + 1]), low = digit(target[i + 2]);
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

} // namespace http
