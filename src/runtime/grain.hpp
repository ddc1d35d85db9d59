#pragma once

#include <cstdint>

namespace levada::detail {

/// Judges how coarse the work of a loop is: whether its tasks compute for long enough between two operations
/// that a second thread, which makes every operation dearer, would pay.
///
/// The clock that it looks at first is cheap and counts the time that the thread was preempted too; so what
/// it suspects it confirms by the thread's own processor time.
class grain {
public:
    [[nodiscard]] bool coarse() const noexcept { return coarse_; }

    // For a turn in which tasks wait while another runs. A step is a task's run, or an operation.

    void begin_turn() noexcept;
    /// After `tasks` tasks of the turn, which took `steps` steps: looks for one that holds up the others.
    void look(unsigned tasks, std::uint64_t steps) noexcept {
        if ((tasks & (tasks - 1)) == 0) look_at_clock(tasks, steps); // a look costs as much as a small task
    }
    void end_turn(std::uint64_t steps) noexcept;

private:
    void look_at_clock(unsigned tasks, std::uint64_t steps) noexcept;

    bool coarse_ = false;
    bool suspects_ = false;
    std::uint64_t turn_began_ = 0; // ticks
    std::uint64_t last_look_ = 0;
    std::uint64_t cpu_began_ = 0; // ns of the turn, while it suspects
    std::uint64_t cpu_ = 0;       // ns and steps of the turns since it began to suspect
    std::uint64_t steps_ = 0;
    std::uint64_t steps_before_ = 0; // of this turn
};

} // namespace levada::detail
