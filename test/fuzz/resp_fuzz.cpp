// RESP as it comes from the network: the commands do not depend on how the bytes are cut.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "resp.hpp"

namespace {

struct outcome {
    std::vector<std::vector<std::string>> commands;
    std::string error;
    friend bool operator==(const outcome&, const outcome&) = default;
};

outcome parse(std::string_view all, std::size_t step) {
    outcome out;
    resp::parser parser;
    std::string seen; // elsewhere after each step, as a buffer that grows
    std::size_t begin = 0;
    for (std::size_t end = 0; end < all.size();) {
        end = all.size() - end < step ? all.size() : end + step;
        seen = std::string(all.substr(0, end));
        for (;;) {
            const std::string_view in = std::string_view(seen).substr(begin);
            const auto p = parser.next(in);
            if (p == resp::parsed::part) break;
            if (p == resp::parsed::wrong) {
                out.error = parser.error();
                return out;
            }
            if (parser.size() == 0 || parser.size() > in.size()) std::abort();
            std::vector<std::string> command;
            for (const std::string_view a : parser.arguments()) {
                const bool within = a.data() >= in.data() && a.data() + a.size() <= in.data() + parser.size();
                if (!within && !parser.quoted()) std::abort();
                command.emplace_back(a);
            }
            out.commands.push_back(std::move(command));
            begin += parser.size();
        }
        if (parser.wants(seen.size() - begin) == 0) std::abort();
    }
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view all(reinterpret_cast<const char*>(data), size);
    const outcome whole = parse(all, size == 0 ? 1 : size);
    for (const std::size_t step : {1, 2, 7})
        if (parse(all, step) != whole) std::abort();
    return 0;
}
