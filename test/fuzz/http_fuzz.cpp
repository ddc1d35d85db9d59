// HTTP as it comes from the network: the requests do not depend on how the bytes are cut, and no path leads
// out.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "http/conditions.hpp"
#include "http/request.hpp"

namespace {

struct outcome {
    std::vector<std::string> targets;
    int status = 0;
    friend bool operator==(const outcome&, const outcome&) = default;
};

/// With at most `step` bytes more at a time.
outcome parse(std::string_view all, std::size_t step) {
    outcome out;
    http::request r;
    for (std::size_t at = 0, seen = 0; seen < all.size();) {
        seen = std::min(all.size(), seen + step);
        for (;;) {
            const std::string piece(all.substr(at, seen - at)); // on the heap, to see who reads beyond it
            const std::size_t n = r.parse(piece);
            if (n > piece.size()) std::abort();
            at += n;
            if ((out.status = r.wrong()) != 0) return out;
            if (!r.whole()) break;
            if (n == 0) std::abort(); // a request of nothing
            if (!r.begun() || r.head().host.find_first_of("\"\\ \t") != std::string::npos) std::abort();
            out.targets.push_back(r.head().target);
            r.reset();
        }
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view all(reinterpret_cast<const char*>(data), size);
    const outcome whole = parse(all, size == 0 ? 1 : size);
    for (const std::string& target : whole.targets) {
        if (const auto to = http::with_slash(target); to && to->starts_with("//")) std::abort();
        if (const auto path = http::path_of(target))
            if (path->find("/../") != std::string::npos || path->ends_with("/..") || path->front() != '/' ||
                path->find('\0') != std::string::npos)
                std::abort();
    }
    for (const std::uint64_t length : {0, 1, 1000}) {
        const http::wanted what = http::read_range(all, length);
        if (what.status == 206 && (what.bytes.first >= what.bytes.end || what.bytes.end > length))
            std::abort();
    }
    for (const std::size_t step : {1, 2, 7})
        if (parse(all, step) != whole) std::abort();
    return 0;
}
