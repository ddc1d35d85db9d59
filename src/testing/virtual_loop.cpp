#include <levada/testing/virtual_loop.hpp>

#include <algorithm>
#include <chrono>

#include <levada/base/errc.hpp>
#include <levada/base/fatal.hpp>
#include <levada/base/trace_hooks.hpp>

namespace levada {

virtual_loop::virtual_loop(std::uint64_t seed) : seed_(seed), now_(std::chrono::hours(1)) {
    executor::seed(seed);
}

virtual_loop::~virtual_loop() {
    if (!ready_.empty() || root().live() != 0)
        detail::fatal("a virtual_loop was destroyed while tasks live on it");
}

void virtual_loop::post(work& w) noexcept { ready_.push_back(&w); }

// Runs one ready task, or moves the clock. False when neither is possible.
bool virtual_loop::step() {
    context()->clock = detail::coarse_ms(now_);
    if (!ready_.empty()) {
        std::swap(ready_[random(static_cast<std::uint32_t>(ready_.size()))], ready_.back());
        work* w = ready_.back();
        ready_.pop_back();
        ++steps_;
        if (detail::trace_sink* const t = detail::tracing()) t->run(*w);
        else w->run();
        return true;
    }
    if (next_deadline() == time_point::max()) return false;
    now_ = std::max(now_, next_deadline());
    run_timers();
    return true;
}

void virtual_loop::drive(detail::control& main) {
    detail::enter_executor entered(*this);
    std::string stuck;
    while (main.state() != detail::park_state::ended) {
        if (step()) continue;
        if (!stuck.empty())
            detail::fatal("tasks do not end though they were cancelled:\n" + detail::list_tasks(*this));
        stuck = "all tasks are asleep, and nothing can wake them (seed " + std::to_string(seed_) + "):\n" +
                detail::list_tasks(*this);
        main.cancel(make_error_code(errc::cancelled));
    }
    root().cancel(make_error_code(errc::cancelled));
    while (root().live() != 0)
        if (!step())
            detail::fatal("tasks do not end though they were cancelled:\n" + detail::list_tasks(*this));
    while (!ready_.empty()) (void)step(); // work that is no task
    renew_root();
    if (!stuck.empty()) {
        (void)main.take_exception();
        throw deadlock(stuck);
    }
}

} // namespace levada
