#pragma once

#include <bit>
#include <cstdint>
#include <source_location>

namespace levada::detail {

/// A place in the source, in four bytes: it is noted at every await, so it has to cost nothing.
///
/// A `std::source_location` is a pointer to what the compiler laid down in the program or a library. Its
/// lower half is kept; `where()` finds the loaded file that has such an address.
class await_site {
public:
    await_site() noexcept = default;
    explicit await_site(const std::source_location& where) noexcept
        : await_site(std::bit_cast<const void*>(where)) {}
    /// The same from what a `std::source_location` holds.
    explicit await_site(const void* p) noexcept
        : low_(static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(p))) {}
    /// The place; one of line 0 where there is none, or its library is not loaded any more.
    [[nodiscard]] std::source_location where() const noexcept;
    [[nodiscard]] std::uint32_t low() const noexcept { return low_; }

private:
    std::uint32_t low_ = 0;
};

} // namespace levada::detail

/// As a default argument, the caller's place, as the pointer that a `std::source_location` holds: one of
/// these, or any class, g++ would keep in the frame of a coroutine for as long as the await lasts.
#define LEVADA_INTERNAL_HERE __builtin_source_location()
