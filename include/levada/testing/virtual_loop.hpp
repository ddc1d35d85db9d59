#pragma once

#include <cstdint>
#include <memory>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <levada/base/executor.hpp>
#include <levada/detail/task/handle_access.hpp>
#include <levada/detail/task/main_task.hpp>

namespace levada {

namespace detail {
class fiber;
}

/// What `virtual_loop::run` throws when nothing can ever wake: `what()` lists every task, where it was
/// started and what it waits for.
class deadlock : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Where a `virtual_loop` may leave a task for another one.
enum class interleave {
    parked,     // where it waits, or yields
    everywhere, // before all that another task can see
};

/// An executor and a clock for tests, without threads and without a kernel.
///
/// Time moves only when every task is parked, and then straight to the next deadline. The order in which
/// ready tasks run, and what a select takes of several ready arms, follow the seed: the same seed gives the
/// same run, other seeds give other ones. Everything happens on the thread that calls `run`.
///
/// A schedule is the order of all that tasks do to each other. So before each operation, whether it is ready
/// or not, and before `try_` forms, `close`, `cancel`, starts of tasks, unlocking and looks such as
/// `closed()` and `size()`, the seed decides whether other tasks run first, as they might on several loops.
/// What a task does between two of these points nobody interrupts. A std::mutex must not be held across such
/// a point: a task that waits for it stops the thread. With `interleave::parked` tasks are left only where
/// they wait, as on one `event_loop`.
class virtual_loop final : public executor {
public:
    explicit virtual_loop(std::uint64_t seed = 1, interleave where = interleave::everywhere);
    ~virtual_loop() override;

    /// Runs `f(args...)` as the main task until it has ended, then cancels and joins what is left, as
    /// `levada::run` does, and gives its value. Throws what it threw, or `deadlock`.
    template <class F, class... A>
    auto run(F&& f, A&&... args) {
        auto main =
            detail::start_main(*this, std::source_location(), std::forward<F>(f), std::forward<A>(args)...);
        drive(detail::handle_access::block(main));
        return detail::main_value(main);
    }

    /// Virtual time: begins at the clock's epoch plus an hour.
    [[nodiscard]] time_point now() const noexcept override { return now_; }
    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
    /// The steps of tasks so far: how long a schedule is.
    [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

    void post(work& w) noexcept override;
    void arm(time_point) noexcept override {}
    void schedule_point() noexcept override;

private:
    // A thing to go on with: a work, or a fiber whose task was left at a schedule point.
    struct runnable {
        work* to_run;
        detail::fiber* left;
    };
    class counted;
    void drive(detail::task_block& main);
    [[nodiscard]] bool step();
    void run(work& w);
    void go_on(detail::fiber& f);

    std::uint64_t seed_;
    time_point now_;
    std::uint64_t steps_ = 0;
    std::vector<runnable> ready_;
    const interleave where_;
    const std::uint32_t odds_; // at a schedule point it is one to so many that others run first
    std::vector<std::unique_ptr<detail::fiber>> idle_;
    detail::fiber* running_ = nullptr;
    std::size_t left_ = 0;   // fibers in ready_
    bool just_left_ = false; // the last one of them
};

} // namespace levada
