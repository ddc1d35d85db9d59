#pragma once

#include <chrono>
#include <cstdint>

namespace levada::detail {

/// A clock that is cheap to read, about 10 ns, and roughly known: where it is 2 to 4 GHz its microseconds are
/// 0.6 to 1.25 of real ones.
[[nodiscard]] inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}
#if defined(__x86_64__)
inline constexpr std::uint64_t ticks_per_us = 2500;
#else
inline constexpr std::uint64_t ticks_per_us = 1000;
#endif

} // namespace levada::detail
