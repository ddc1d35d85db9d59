// HTTP as it comes from the network: the requests do not depend on how the bytes are cut, and no path leads
// out.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "http_request.hpp"

namespace {

struct outcome {
    std::vector<std::string> targets;
    int status = 0;
    friend bool operator==(const outcome&, const outcome&) = default;
};

outcome parse(std::string_view all, std::size_t step) {
    outcome out;
    http::request r;
    for (std::size_t at = 0; at < all.size();) {
        std::string piece(all.substr(at, step)); // on the heap, to see who reads beyond it
        const std::size_t n = r.parse(piece);
        if (n > piece.size()) std::abort();
        if ((out.status = r.wrong()) != 0) return out;
        if (r.whole()) {
            out.targets.push_back(r.target());
            r.reset();
        } else if (n < piece.size()) {
            std::abort(); // it has stopped for no reason
        }
        at += n;
        if (n == 0 && out.targets.size() > all.size()) std::abort();
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view all(reinterpret_cast<const char*>(data), size);
    const outcome whole = parse(all, size == 0 ? 1 : size);
    for (const std::string& target : whole.targets)
        if (const auto path = http::path_of(target))
            if (path->find("/../") != std::string::npos || path->ends_with("/..") || path->front() != '/' ||
                path->find('\0') != std::string::npos)
                std::abort();
    for (const std::size_t step : {1, 2, 7})
        if (parse(all, step) != whole) std::abort();
    return 0;
}
