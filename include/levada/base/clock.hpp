#pragma once

#include <chrono>

namespace levada {

/// Points and lengths of the steady clock; on a `virtual_loop` the points are virtual ones.
using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::steady_clock::duration;

/// The time of the loop that runs the calling task, which is virtual in tests; the steady clock elsewhere.
[[nodiscard]] time_point now() noexcept;

} // namespace levada
