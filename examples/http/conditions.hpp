#pragma once

// What of a file a request wants: all, a part, or nothing, since the client has it already (RFC 9110,
// sections 13 and 14).

#include <charconv>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <system_error>

#include "date.hpp"
#include "request.hpp"
#include "text.hpp"

namespace http {

struct byte_range {
    std::uint64_t first;
    std::uint64_t end; // behind the last
    [[nodiscard]] std::uint64_t size() const noexcept { return end - first; }
};

/// The status to answer with, and for 200 and 206 the bytes.
struct wanted {
    int status;
    byte_range bytes;
};

/// Whether a client that sent these fields has a file with this tag and time already.
inline bool has_already(const request_head& h, std::string_view etag, std::time_t modified) {
    if (!h.if_none_match.empty()) {
        bool found = h.if_none_match == "*";
        for_each_item(h.if_none_match, [&](std::string_view tag) {
            if (tag.starts_with("W/")) tag.remove_prefix(2);
            found = found || tag == etag;
        });
        return found;
    }
    if (h.if_modified_since.empty()) return false;
    const auto since = from_date(h.if_modified_since);
    return since && modified <= *since;
}

/// Whether a range is wanted of what the file is now, and not of what it once was.
inline bool range_is_current(const request_head& h, std::string_view etag, std::time_t modified) {
    if (h.if_range.empty() || h.if_range == etag) return true;
    const auto date = from_date(h.if_range);
    return date && *date == modified;
}

/// Reads digits up to the end of the text; a number too large is the largest. False if there is anything
/// else.
inline bool read_position(std::string_view text, std::uint64_t& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc::result_out_of_range) value = ~std::uint64_t(0);
    return error != std::errc::invalid_argument && end == text.data() + text.size();
}

/// A single range, of a file that is not empty. Several, and what is no range, are as if there was none.
inline wanted read_range(std::string_view text, std::uint64_t size) {
    const wanted all{200, {0, size}};
    const std::size_t equals = text.find('=');
    if (size == 0 || equals == text.npos || !same_word(text.substr(0, equals), "bytes")) return all;
    text.remove_prefix(equals + 1);
    const std::size_t dash = text.find('-');
    if (dash == text.npos) return all;
    const std::string_view from = text.substr(0, dash), to = text.substr(dash + 1);
    std::uint64_t first = 0, last = ~std::uint64_t(0);
    if (from.empty()) { // so many at the end
        std::uint64_t count = 0;
        if (!read_position(to, count)) return all;
        if (count == 0) return {416, {}};
        return {206, {count < size ? size - count : 0, size}};
    }
    if (!read_position(from, first) || (!to.empty() && !read_position(to, last)) || last < first) return all;
    if (first >= size) return {416, {}};
    return {206, {first, last < size ? last + 1 : size}};
}

inline wanted what_is_wanted(const request_head& h, std::string_view etag, std::time_t modified,
                             std::uint64_t size) {
    if (has_already(h, etag, modified)) return {304, {}};
    if (h.range.empty() || h.method != "GET" || !range_is_current(h, etag, modified)) return {200, {0, size}};
    return read_range(h.range, size);
}

} // namespace http
