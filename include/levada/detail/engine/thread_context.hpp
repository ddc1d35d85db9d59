#pragma once

#include <chrono>
#include <cstdint>

#include <levada/base/clock.hpp>
#include <levada/detail/util/attention.hpp>

namespace levada {

class executor;

namespace detail {

class task_block;

/// What this thread is running: set by loops and by tasks as they are entered.
struct thread_context {
    executor* on = nullptr;
    task_block* task = nullptr;
    std::uint64_t operations = 0; // that tasks have done on this thread: tells loops how fine their work is
    std::uint32_t clock = 0;      // the loop's, in ms, as of its last turn
    std::uint32_t callbacks = 0;  // that run: no schedule points, as those who drop one wait for its end
    const attention* calls = &no_attention;
};

/// A time for dumps: it wraps after 49 days.
[[nodiscard]] inline std::uint32_t coarse_ms(time_point t) noexcept {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count());
}

/// Never inlined: compilers cache the address of a thread-local across suspensions.
[[nodiscard]] thread_context& this_thread() noexcept;

/// Small numbers, one a thread: for those who keep apart what threads do.
[[nodiscard]] unsigned thread_number() noexcept;

} // namespace detail
} // namespace levada
