#pragma once

// Dates, as HTTP writes them (RFC 9110, section 5.6.7).

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace http {

inline std::string to_date(std::time_t when) {
    std::tm parts{};
    ::gmtime_r(&when, &parts);
    char text[64];
    return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

/// Reads the form above, and the two that were in use before it.
inline std::optional<std::time_t> from_date(const std::string& text) {
    for (const char* form :
         {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
        std::tm parts{};
        const char* end = ::strptime(text.c_str(), form, &parts);
        if (end && *end == '\0') return ::timegm(&parts);
    }
    return {};
}

/// Adds the date of now. Each thread writes it out once a second. (Not inlined: a coroutine may go on on
/// another thread, and must not keep the address of this one's.)
[[gnu::noinline]] inline void add_date(std::string& out) {
    static thread_local std::time_t second = -1;
    static thread_local char text[64];
    static thread_local std::size_t size = 0;
    if (const std::time_t now = std::time(nullptr); now != second) {
        const std::string date = to_date(now);
        size = date.copy(text, sizeof text);
        second = now;
    }
    out.append(text, size);
}

} // namespace http
