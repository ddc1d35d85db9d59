#pragma once

#include <source_location>

#include <levada/detail/engine/blocking.hpp>
#include <levada/detail/sync/gate.hpp>

namespace levada {

/// Something that has happened or not. Once set it stays set, and every wait returns at once, until `reset`.
///
/// Neither copied nor moved; destroying one that is waited for terminates. Nothing is allocated.
class event {
public:
    explicit event(bool set = false,
                   const std::source_location& where = std::source_location::current()) noexcept
        : gate_(set, "event::wait"), where_(where) {}
    ~event();
    event(const event&) = delete;
    event& operator=(const event&) = delete;

    /// Wakes all who wait: they return, though it be reset before they run. They may destroy the event then.
    /// *Threads*: any.
    void set() noexcept;
    /// From now on waits wait. *Threads*: any.
    void reset() noexcept;
    [[nodiscard]] bool is_set() const noexcept;

    /// `co_await e.wait();`
    ///
    /// *Suspends* while it is not set. *Threads*: any. *Cancel*: withdrawn. An arm of select. The event may
    /// be destroyed as soon as this has returned, even if others that the same `set` woke have yet to run;
    /// but not before a select has returned in which a wait on it is an arm that loses.
    [[nodiscard]] detail::gate_op wait() noexcept { return detail::gate_op(gate_); }
    /// Waits on a plain thread, which sleeps meanwhile. Terminates on a loop's own thread.
    void wait_blocking() noexcept;

private:
    detail::gate gate_;
    std::source_location where_;
};

} // namespace levada
