#pragma once

#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <levada/base/executor.hpp>
#include <levada/core/main_task.hpp>

namespace levada {

/// What `virtual_loop::run` throws when nothing can ever wake: `what()` lists every task, where it was
/// started and what it waits for.
class deadlock : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// An executor and a clock for tests, without threads and without a kernel.
///
/// Time moves only when every task is parked, and then straight to the next deadline. The order in which
/// ready tasks run, and what a select takes of several ready arms, follow the seed: the same seed gives the
/// same run, other seeds give other ones. Everything happens on the thread that calls `run`.
class virtual_loop final : public executor {
public:
    explicit virtual_loop(std::uint64_t seed = 1);
    ~virtual_loop() override;

    /// Runs `f(args...)` as the main task until it has ended, then cancels and joins what is left, as
    /// `levada::run` does, and gives its value. Throws what it threw, or `deadlock`.
    template <class F, class... A>
    auto run(F&& f, A&&... args) {
        auto main =
            detail::start_main(*this, std::source_location(), std::forward<F>(f), std::forward<A>(args)...);
        drive(main.shared_block());
        return detail::main_value(main);
    }

    /// Virtual time: begins at the clock's epoch plus an hour.
    [[nodiscard]] time_point now() const noexcept override { return now_; }
    [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
    /// The steps of tasks so far: how long a schedule is.
    [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

    void post(work& w) noexcept override;
    void arm(time_point) noexcept override {}

private:
    void drive(detail::control& main);
    [[nodiscard]] bool step();

    std::uint64_t seed_;
    time_point now_;
    std::uint64_t steps_ = 0;
    std::vector<work*> ready_;
};

} // namespace levada
