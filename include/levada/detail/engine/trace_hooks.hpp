#pragma once

#include <atomic>

#include <levada/detail/util/diagnosis.hpp>

namespace levada {
class work;
}

namespace levada::detail {

class waiter;
class operation;

/// Who is told what tasks do, while a trace is taken. Called on the threads that do it.
class trace_sink {
public:
    /// Runs something that is ready: a task, of which it notes when and what it had waited for, or a
    /// function.
    virtual void run(work& w) noexcept = 0;
    /// A waiter was claimed, and is made ready.
    virtual void woke(const waiter& task) noexcept = 0;
    /// The running task is about to await an operation.
    virtual void awaits(const waiter& task, const operation& op) noexcept = 0;

protected:
    ~trace_sink() = default;
};

/// Null while no trace is taken. What it points at stays for ever, since a thread may still be there. Whoever
/// sets it ends the ownership (owner_section.hpp) first: so what is done in sections needs no hook for
/// wake-ups and operations, and pays nothing.
inline constinit std::atomic<trace_sink*> trace_to{nullptr};

[[nodiscard]] inline trace_sink* tracing() noexcept {
    return diagnosis ? trace_to.load(std::memory_order_acquire) : nullptr;
}

} // namespace levada::detail
