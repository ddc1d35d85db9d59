#pragma once

#include <system_error>

#include <levada/detail/util/container_layout.hpp>

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

} // namespace levada

template <>
struct std::is_error_code_enum<levada::errc> : std::true_type {};
