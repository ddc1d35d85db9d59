#pragma once

#include <cstdint>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include <levada/detail/engine/waiter.hpp>

namespace levada::testing {

/// Fails the test when a task that was started in its scope still waits for something as the scope ends: a
/// leaked one, as a rule, since nobody is left who would wake it. (After Uber's goleak.)
///
/// It looks at the tasks of all loops of the process. Tasks that run, or are ready to, are not held against
/// the test: where one is about to end, let it, by joining it. What fails the test is `on_leak`'s business:
/// with <levada/testing/catch2.hpp> it is a failed assertion, else the program terminates with the report.
/// *Threads*: any.
class leak_guard {
public:
    explicit leak_guard(const std::source_location& where = std::source_location::current());
    ~leak_guard() { check(); }
    leak_guard(const leak_guard&) = delete;
    leak_guard& operator=(const leak_guard&) = delete;

    /// The report as of now: the tasks with what they wait for and where; empty when there are none.
    [[nodiscard]] std::string leaked() const;
    /// Fails now if there are any, and does not look again when the scope ends.
    void check();

    using handler = void (*)(const std::string& report);
    /// Whom reports go to; gives whom they went to before.
    static handler on_leak(handler h) noexcept;

private:
    using task_id = std::pair<const detail::waiter*, std::uint32_t>; // its address, and where it was started
    std::vector<task_id> before_;                                    // sorted
    std::source_location where_;
    bool looks_ = true;
};

} // namespace levada::testing
