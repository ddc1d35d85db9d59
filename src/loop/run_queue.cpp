#include "run_queue.hpp"

namespace levada::detail {
namespace {

// Every so many is one that was just started, though others have been woken.
constexpr unsigned turn_of_stack = 8;
// What was started, and has seen younger ones go before it for so many runs, is old: one in so many is one of
// the old. (Not more, since each may start a tree of its own.)
constexpr unsigned turn_of_old = 256;
constexpr unsigned most_runs_with_stack = 32 * 256;
// Who yields lets so many others go first, though the clock ends the turn after each: as many as a turn runs.
constexpr unsigned most_runs_before_later = 256;
// Of so many tasks that are interrupted one goes to the end of the queue.
constexpr unsigned turn_of_others = 4;
// How far a task is looked for that is to be urgent.
constexpr unsigned most_looked_through = 1024;

// Of what `next` gives, `most` at most, every other work goes to `given` if it may leave `home`, and the
// others to `kept`. Gives how many may.
template <class Next>
std::size_t give_half(Next next, int most, executor& home, work_list& given, work_list& kept) noexcept {
    std::size_t n = 0;
    for (int i = 0; i < most; ++i) {
        work* const w = next();
        if (!w) break;
        const bool goes = i % 2 == 0 && w->move_to(home);
        (goes ? given : kept).push(*w);
        n += goes ? 1 : 0;
    }
    return n;
}

} // namespace

work* run_queue::next_usual() noexcept {
    const held h(guard_);
    const unsigned run = ++runs_;
    stack_fresh();
    if (run % turn_of_stack == 0) {
        if (run % turn_of_old == 0) {
            if (run - runs_with_stack_ >= most_runs_with_stack) {
                runs_with_stack_ = run;
                old_.append(std::move(stack_));
            }
            if (work* w = old_.pop()) return w;
        }
        if (work* w = stack_.pop()) return w;
    }
    if (work* w = ready_.pop()) return w;
    if (work* w = stack_.pop()) return w;
    if (work* w = old_.pop()) return w;
    runs_before_later_ = run; // nobody waits who is younger than they are
    return later_.pop();
}

void run_queue::push_interrupted(work& w) noexcept {
    const held h(guard_);
    if (++interruptions_ % turn_of_others != 0) ready_.push_front(w);
    else ready_.push(w);
}

void run_queue::end_turn() noexcept {
    const held h(guard_);
    if (later_.empty()) return;
    const bool younger = !(fresh_.empty() && stack_.empty() && old_.empty());
    if (younger && runs_ - runs_before_later_ < most_runs_before_later) return;
    ready_.append(std::move(later_));
}

bool run_queue::make_urgent(work& w) noexcept {
    const held h(guard_);
    for (work_list* from : {&ready_, &later_, &stack_, &old_})
        if (from->extract(w, most_looked_through)) {
            urgent_.push(w);
            return true;
        }
    return false;
}

ready_half run_queue::visit_half(int most, executor& home) noexcept {
    owner_section::end_for_good();
    if (!guard_.visit()) return {};
    ready_half taken = take_out_half(most, true, home);
    guard_.end_visit();
    return taken;
}

ready_half run_queue::take_out_half(int most, bool urgent_too, executor& home) noexcept {
    ready_half taken;
    work_list kept, kept_urgent;
    if (urgent_too) {
        taken.size = give_half([this] { return urgent_.pop(); }, most, home, taken.urgent, kept_urgent);
        kept_urgent.append(std::move(urgent_));
        urgent_ = kept_urgent;
    }
    const auto next = [this]() -> work* {
        for (work_list* const from : {&ready_, &old_, &stack_, &fresh_, &later_})
            if (work* const w = from->pop()) return w;
        return nullptr;
    };
    taken.size += give_half(next, most, home, taken.usual, kept);
    taken.none_may_move = taken.size == 0 && !(kept.empty() && kept_urgent.empty());
    kept.append(std::move(ready_));
    ready_ = kept;
    return taken;
}

} // namespace levada::detail
