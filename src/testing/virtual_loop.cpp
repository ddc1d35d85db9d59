#include <levada/testing/virtual_loop.hpp>

#include <algorithm>
#include <chrono>

#include <levada/base/errc.hpp>
#include <levada/detail/engine/enter_executor.hpp>
#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/engine/thread_context.hpp>
#include <levada/detail/engine/trace_hooks.hpp>
#include <levada/detail/util/fatal.hpp>

#include "fiber.hpp"

namespace levada {
namespace {

// Each has a stack, so no more tasks than these are left in the middle at once.
constexpr std::size_t most_fibers = 64;

} // namespace

class virtual_loop::counted {
public:
    explicit counted(interleave where) noexcept : counts_(where == interleave::everywhere) {
        if (counts_) detail::scheduled_loops.fetch_add(1, std::memory_order_relaxed);
    }
    ~counted() {
        if (counts_) detail::scheduled_loops.fetch_sub(1, std::memory_order_relaxed);
    }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;

private:
    const bool counts_;
};

virtual_loop::virtual_loop(std::uint64_t seed, interleave where)
    : seed_(seed),
      now_(std::chrono::hours(1)),
      where_(where),
      odds_(static_cast<std::uint32_t>(2 + seed % 3)) { // many switches find other faults than few
    executor::seed(seed);
    if (where == interleave::everywhere) idle_.reserve(most_fibers + 1);
}

virtual_loop::~virtual_loop() {
    if (!ready_.empty() || root().live() != 0)
        detail::fatal("a virtual_loop was destroyed while tasks live on it");
}

void virtual_loop::post(work& w) noexcept { ready_.push_back({&w, nullptr}); }

// Runs one ready task, or moves the clock. False when neither is possible.
bool virtual_loop::step() {
    context()->clock = detail::coarse_ms(now_);
    if (!ready_.empty()) {
        // A task that was just left, the last one, is not the next, unless it is alone.
        const auto among =
            static_cast<std::uint32_t>(ready_.size() - (just_left_ && ready_.size() > 1 ? 1 : 0));
        just_left_ = false;
        std::swap(ready_[random(among)], ready_.back());
        const runnable next = ready_.back();
        ready_.pop_back();
        ++steps_;
        if (next.left) --left_, go_on(*next.left);
        else run(*next.to_run);
        return true;
    }
    if (next_deadline() == time_point::max()) return false;
    now_ = std::max(now_, next_deadline());
    run_timers();
    return true;
}

void virtual_loop::run(work& w) {
    const auto run_here = [](void* it) noexcept {
        work& what = *static_cast<work*>(it);
        if (detail::trace_sink* const t = detail::tracing()) t->run(what);
        else what.run();
    };
    if (where_ == interleave::parked) return run_here(&w);
    std::unique_ptr<detail::fiber> f;
    if (idle_.empty()) {
        try {
            f = std::make_unique<detail::fiber>();
        } catch (const std::bad_alloc&) {
            return run_here(&w); // it is left only where it parks
        }
    } else {
        f = std::move(idle_.back());
        idle_.pop_back();
    }
    f->begin(run_here, &w);
    go_on(*f.release());
}

void virtual_loop::go_on(detail::fiber& f) {
    running_ = &f;
    const bool done = f.enter();
    running_ = nullptr;
    detail::this_thread().task = nullptr;
    if (done) idle_.emplace_back(&f); // there is room
}

void virtual_loop::schedule_point() noexcept {
    if (!running_ || ready_.empty() || left_ == most_fibers || random(odds_) != 0) return;
    detail::task_block* const task = detail::this_thread().task;
    ready_.push_back({nullptr, running_});
    ++left_;
    just_left_ = true;
    running_->leave();
    detail::this_thread().task = task;
}

void virtual_loop::drive(detail::task_block& main) {
    detail::enter_executor entered(*this);
    const counted while_running(where_);
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
