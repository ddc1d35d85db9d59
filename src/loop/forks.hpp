#pragma once

// What the library knows of fork(). A child process has one thread, a copy of the one that forked. None of
// the threads of the pools came along, and a loop's ring and descriptors are still the parent's.

#include <atomic>

namespace levada::detail {

inline constinit std::atomic<unsigned> forks_so_far{0};

/// A number that differs between a process and the children that it has forked since `count_forks()`.
/// *Threads*: any.
[[nodiscard]] inline unsigned forks() noexcept { return forks_so_far.load(std::memory_order_relaxed); }

/// From the first call on, a fork is counted in the child, and the pools of threads start anew there.
void count_forks() noexcept;

/// Terminates: something that was made before a fork is used in the child.
[[noreturn]] void used_after_fork(const char* what) noexcept;

} // namespace levada::detail
