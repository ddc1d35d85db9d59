#pragma once

#include <cstdint>

namespace levada::detail {

/// Judges how coarse the work of a loop is: whether its tasks compute for long enough between two operations
/// that a second thread, which makes every operation dearer, would pay.
///
/// It looks at the time that passes, which is cheap, and confirms what it suspects by the thread's own
/// processor time: a thread that was preempted has not computed. Between two looks lies a stretch of steps; a
/// step is a task's run, or an operation.
class granularity {
public:
    [[nodiscard]] bool coarse() const noexcept { return coarse_; }
    /// Coarse, and each step takes longer than it takes to hand a task over.
    [[nodiscard]] bool long_steps() const noexcept { return coarse_ && long_steps_; }

    /// A turn begins in which tasks wait while another runs. `steps`: all so far.
    void begin_turn(std::uint64_t steps) noexcept;
    /// Somebody waits, now, after so many steps. True when what it says has changed.
    bool look(std::uint64_t steps) noexcept;
    /// The turn ends, and its last task is interrupted by one that was woken: did that wait for a very long
    /// step?
    bool look_back(std::uint64_t steps) noexcept;
    /// The turn ends. Likewise.
    bool end_turn(std::uint64_t steps) noexcept;

private:
    void begin_stretch(std::uint64_t now, std::uint64_t steps) noexcept;
    void read_processor_time(std::uint64_t now) noexcept;

    bool coarse_ = false;
    bool long_steps_ = false;
    // The stretch that is looked at.
    std::uint64_t began_ = 0; // ns of the steady clock
    std::uint64_t steps_before_ = 0;
    // When the processor time was read last, and what it was.
    std::uint64_t read_at_ = 0;
    std::uint64_t processor_ = 0;
    // Of the stretches that may be coarse, but were too short to tell.
    std::uint64_t spent_ = 0;
    std::uint64_t steps_spent_ = 0;
    std::uint64_t fine_steps_ = 0; // in a row, while coarse
};

} // namespace levada::detail
