#pragma once

#include <source_location>
#include <string_view>

namespace levada::detail {

/// Misuse that cannot be a value: prints "levada: what (file:line)" to stderr and aborts, in every build.
[[noreturn]] void fatal(std::string_view what) noexcept;
[[noreturn]] void fatal(std::string_view what, const std::source_location& where) noexcept;

} // namespace levada::detail
