#pragma once

// The ready tasks of one loop, and who runs next. Used on the loop's thread, and visited by one that takes
// what waits behind a task that computes for long.
//
// Invariants:
// 1. Every ready task has its turn. `urgent_` holds those whom the clock, the kernel or another thread has
//    woken; the loop runs them first, but the usual ones at least every other turn.
// 2. Of the usual ones the first of `ready_` goes first. Each eighth is the youngest of those that were
//    started (`stack_`), and each 256th an old one of these (`old_`): so a tree of tasks is run depth first,
//    in little memory, and yet its first branches end.
// 3. `later_` holds what has yielded; it is ready when all others have run, or when a turn ends and no
//    younger ones wait, or so many have run as a whole turn has.
// 4. `guard_` guards the lists; the loop's thread is its owner. `woken()` and `started()` are pushed to
//    without it by who is in an owner_section, or alone: a visitor ends the ownership first.

#include <cstddef>
#include <utility>

#include <levada/base/executor.hpp>
#include <levada/detail/engine/work_list.hpp>

#include "util/owner_lock.hpp"

namespace levada::detail {

/// Tasks that leave a queue.
struct ready_half {
    work_list usual;
    work_list urgent;
    std::size_t size = 0;
    bool none_may_move = false; // though there was some
};

class run_queue {
    using held = lock_guard<owner_lock>;

public:
    /// Whether nothing seems to wait. *Threads*: any.
    [[nodiscard]] bool seems_empty() const noexcept {
        return urgent_.empty() && ready_.empty() && stack_.empty() && fresh_.empty() && old_.empty() &&
               later_.empty();
    }
    [[nodiscard]] bool empty() noexcept {
        const held h(guard_); // a visitor has taken some out for a moment
        return seems_empty();
    }
    [[nodiscard]] bool has_urgent() noexcept {
        const held h(guard_);
        return !urgent_.empty();
    }

    // Where those go who are woken on the loop's thread, and those who are started. Executors know these
    // lists.

    [[nodiscard]] work_list& woken() noexcept { return *woken_; }
    [[nodiscard]] work_list& started() noexcept { return fresh_; }
    /// Whether who is woken from now on is urgent.
    void wake_urgently(bool urgent) noexcept { woken_ = urgent ? &urgent_ : &ready_; }

    void push_woken(work& w) noexcept { push(*woken_, w); }
    void push_started(work& w) noexcept { push(fresh_, w); }
    void push_urgent(work& w) noexcept { push(urgent_, w); }
    void append_urgent(work_list&& list) noexcept {
        const held h(guard_);
        urgent_.append(std::move(list));
    }
    void push_ready(work& w) noexcept { push(ready_, w); }
    /// It lets all others go first.
    void push_yielded(work& w) noexcept {
        const held h(guard_);
        if (later_.empty()) runs_before_later_ = runs_;
        later_.push(w);
    }
    /// It was interrupted, and goes on as the first of the usual ones; but not each time, since its budget is
    /// a new one then, and the others have to come to their turn.
    void push_interrupted(work& w) noexcept;
    /// Makes a task urgent, if it is found among the first that are ready. False if it is not.
    bool make_urgent(work& w) noexcept;

    [[nodiscard]] work* next_urgent() noexcept {
        const held h(guard_);
        return urgent_.pop();
    }
    /// Before urgent ones run, and after each: of what it has started the first is urgent, and the others
    /// wait.
    void begin_urgent() noexcept {
        const held h(guard_);
        stack_fresh();
    }
    void urgent_has_run() noexcept {
        const held h(guard_);
        if (work* const first = fresh_.pop()) {
            urgent_.push(*first);
            stack_fresh();
        }
    }
    [[nodiscard]] work* next_usual() noexcept;
    /// What yielded in this turn is ready in the next, unless the clock has ended the turn before those who
    /// were just started had theirs.
    void end_turn() noexcept;

    /// Takes out half of the first `most`, of those that may leave `home`; of the urgent ones only if asked
    /// to.
    [[nodiscard]] ready_half take_half(int most, bool urgent_too, executor& home) noexcept {
        const held h(guard_);
        return take_out_half(most, urgent_too, home);
    }
    /// The same on another thread, of all.
    [[nodiscard]] ready_half visit_half(int most, executor& home) noexcept;

private:
    void push(work_list& to, work& w) noexcept {
        const held h(guard_);
        to.push(w);
    }
    [[nodiscard]] ready_half take_out_half(int most, bool urgent_too, executor& home) noexcept;
    // What was just started is the youngest batch of the stack.
    void stack_fresh() noexcept {
        if (fresh_.empty()) return;
        if (stack_.empty()) runs_with_stack_ = runs_;
        fresh_.append(std::move(stack_));
        stack_ = std::exchange(fresh_, {});
    }

    owner_lock guard_;
    work_list urgent_;
    work_list ready_;
    work_list fresh_; // that the running task has started
    work_list stack_; // that were fresh: the youngest batch first
    work_list old_;   // that stood there for long: the oldest first
    work_list later_;
    work_list* woken_ = &ready_;
    unsigned runs_ = 0;              // of the usual ones, to choose among the lists
    unsigned runs_with_stack_ = 0;   // the run since which `stack_` has not been empty
    unsigned runs_before_later_ = 0; // the run since which `later_` has not been empty
    unsigned interruptions_ = 0;
};

} // namespace levada::detail
