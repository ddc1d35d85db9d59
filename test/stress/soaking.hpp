#pragma once

// What the soaks share.

#include <charconv>
#include <cstdint>
#include <string_view>
#include <system_error>

namespace soaking {

/// xorshift64*: every task has its own.
class dice {
public:
    explicit dice(std::uint64_t seed) noexcept : x_(seed * 0x9e3779b97f4a7c15u | 1) {}
    std::uint32_t below(std::uint32_t n) noexcept {
        x_ ^= x_ >> 12;
        x_ ^= x_ << 25;
        x_ ^= x_ >> 27;
        return static_cast<std::uint32_t>(((x_ * 0x2545f4914f6cdd1du) >> 33) % n);
    }

private:
    std::uint64_t x_;
};

inline bool number(std::string_view text, long& into) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    return error == std::errc() && end == text.data() + text.size() && into >= 0;
}

} // namespace soaking
