#pragma once

// The heads of answers.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "date.hpp"

namespace http {

inline constexpr std::size_t usual_answer = 2048;

inline std::string_view reason(int status) {
    static constexpr std::pair<int, std::string_view> reasons[] = {
        {200, "OK"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {431, "Request Header Fields Too Large"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (const auto& [number, text] : reasons)
        if (number == status) return text;
    return "Unknown";
}

inline void add_field(std::string& out, std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
}
inline void add_field(std::string& out, std::string_view name, std::uint64_t value) {
    add_field(out, name, std::to_string(value));
}

/// The status, and what every answer says. Into one piece of memory, with a small body.
inline void begin_head(std::string& out, int status) {
    if (out.empty()) out.reserve(usual_answer);
    out += "HTTP/1.1 ";
    out += std::to_string(status);
    out += ' ';
    out += reason(status);
    out += "\r\nServer: levada\r\nDate: ";
    add_date(out);
    out += "\r\n";
}

/// HTTP/1.0 knows connections that go on only by their name (`old`).
inline void end_head(std::string& out, bool keeps_alive, bool old) {
    if (!keeps_alive) out += "Connection: close\r\n";
    else if (old) out += "Connection: keep-alive\r\n";
    out += "\r\n";
}

} // namespace http
