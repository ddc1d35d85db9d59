#pragma once

#include <system_error>

namespace levada {

/// The outcomes that are levada's own. System calls give codes of `std::system_category()`.
enum class errc {
    closed = 1,    ///< the channel is closed, or nobody is left at its other end
    cancelled = 2, ///< a token was cancelled, with no reason of its own
    timed_out = 3, ///< a deadline passed
    full = 4,      ///< `try_send`: no room and no receiver waits
    empty = 5,     ///< `try_recv`: nothing is buffered and no sender waits
};

/// The category of `errc`; its name is "levada".
[[nodiscard]] const std::error_category& levada_category() noexcept;

[[nodiscard]] std::error_code make_error_code(errc e) noexcept;

namespace detail {

// The containers of a program and of the library look the same in memory, or the program does not link.
#if defined(_GLIBCXX_DEBUG)
extern const char built_with_debug_containers;
[[gnu::used]] inline const char* const containers_of_the_library = &built_with_debug_containers;
#else
extern const char built_with_plain_containers;
[[gnu::used]] inline const char* const containers_of_the_library = &built_with_plain_containers;
#endif

} // namespace detail
} // namespace levada

template <>
struct std::is_error_code_enum<levada::errc> : std::true_type {};
