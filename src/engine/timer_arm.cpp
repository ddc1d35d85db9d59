#include <levada/detail/engine/timer_arm.hpp>

#include <chrono>

#include <levada/detail/util/clock_arithmetic.hpp>

namespace levada::detail {

bool timer_arm::try_commit(work_list&) noexcept {
    if (relative_) return after_ <= duration::zero();
    executor* here = executor::current();
    return at_ <= here->now();
}

bool timer_arm::link() noexcept {
    executor* here = executor::current();
    if (relative_) { // a select that starts over keeps its deadline
        at_ = saturating_add(here->now(), after_);
        relative_ = false;
    }
    if (at_ == time_point::max()) return false; // never
    armed_on_ = here;
    who->bind(); // until it has let go of the timer
    here->add_timer(*this, at_);
    return false;
}

void timer_arm::unlink() noexcept {
    if (armed()) armed_on_->remove_timer(*this);
}

void timer_arm::fire() noexcept {
    work_list ready;
    (void)who->claim(index, ready);
    post_all(ready);
}

void timer_arm::describe(std::string& out) const {
    if (!relative_ && at_ == time_point::max()) {
        out += "a timer that never fires";
        return;
    }
    const duration left = relative_ ? after_ : at_ - now();
    out += "a timer, in ";
    out += std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
    out += " ms";
}

} // namespace levada::detail
