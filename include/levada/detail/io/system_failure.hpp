#pragma once

#include <cerrno>
#include <system_error>

#include <levada/base/result.hpp>

namespace levada::detail {

// Outcomes of the kernel as failures.

/// The failure that a negated errno of the kernel means.
[[nodiscard]] inline failure system_failure(int negated) noexcept {
    return fail(std::error_code(-negated, std::system_category()));
}

/// Whether the kernel has done nothing, and has to be asked again.
[[nodiscard]] inline bool interrupted(int answer) noexcept { return answer == -EINTR || answer == -EAGAIN; }

/// The failure of the system call that came just before.
[[nodiscard]] inline failure last_error() noexcept { return system_failure(-errno); }

} // namespace levada::detail
