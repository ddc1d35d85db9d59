#pragma once

#include <levada/detail/engine/task_block.hpp>

namespace levada::detail {

/// An arm that is completed outside of its task's loop, by somebody who cannot be made to let go of it: a
/// thread of a pool, a foreign coroutine. As with an operation that the kernel has, the task is resumed, and
/// the frame where this lies destroyed, only when it is back: it stays on its loop, and a cancel waits.
class external_arm : public arm, private work {
public:
    [[nodiscard]] bool try_commit(work_list&) noexcept override { return false; }
    void unlink() noexcept final {} // it retires instead
    [[nodiscard]] bool withdraw() noexcept override { return back_; }
    [[nodiscard]] bool finished_after_limit() const noexcept { return late_; }

protected:
    external_arm() = default;
    external_arm(external_arm&&) noexcept {} // before it is linked
    ~external_arm() = default;

    // On the loop's thread:
    /// Before anybody outside can know of it.
    void set_out() noexcept {
        static_cast<task_block&>(*who).kernel_started();
        back_ = false;
    }
    /// Nobody outside has it after all.
    void never_left() noexcept {
        back_ = true;
        static_cast<task_block&>(*who).kernel_ended();
    }
    [[nodiscard]] bool is_back() const noexcept { return back_; }

    /// It is done: goes back to the loop. The last that the one outside does with it. *Threads*: any.
    void arrive() noexcept { who->home()->post(*this); }

private:
    void run() noexcept final; // back on the task's loop
    bool back_ = true;
    bool late_ = false; // it was claimed by another arm, or a cancel, before
};

} // namespace levada::detail
