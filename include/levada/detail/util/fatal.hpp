#pragma once

#include <initializer_list>
#include <source_location>
#include <string_view>

namespace levada::detail {

/// Misuse that cannot be a value: prints "levada: what (file:line)" to stderr and aborts, in every build.
[[noreturn]] void fatal(std::string_view what) noexcept;
[[noreturn]] void fatal(std::string_view what, const std::source_location& where) noexcept;
/// The same of several pieces, for those who may be here for want of memory.
[[noreturn]] void fatal(std::initializer_list<std::string_view> what) noexcept;
[[noreturn]] void fatal(std::initializer_list<std::string_view> what,
                        const std::source_location& where) noexcept;

/// For destructors that find their object in use: terminates, unless the process exits. Then tasks stand
/// still where they are, static objects are destroyed under them, and the exit code counts.
void fatal_unless_exiting(std::string_view what) noexcept;
void fatal_unless_exiting(std::string_view what, const std::source_location& where) noexcept;
void fatal_unless_exiting(std::initializer_list<std::string_view> what,
                          const std::source_location& where) noexcept;
/// In a destructor: a few words if an exception is the reason, or none.
[[nodiscard]] std::string_view unwound_by_exception() noexcept;
/// From now on it is noticed that the process exits: exit() was called by what a loop runs on this thread, or
/// by another thread, and has come to destroying what was made before this. Called on the threads of loops.
void watch_for_exit() noexcept;

} // namespace levada::detail
