#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

namespace levada::detail {

/// What a fiber has of its own where the thread's others have theirs, besides the stack.
struct fiber_state {
    ucontext_t context{};
    // The C++ runtime's record of the exceptions that are being thrown and handled here.
    void* caught = nullptr;
    unsigned uncaught = 0;
    void* fake_stack = nullptr; // AddressSanitizer's
    void* tsan = nullptr;       // ThreadSanitizer's
    const void* stack = nullptr;
    std::size_t size = 0;
};

/// A stack to run functions on, one after the other, each of which may be left in the middle and gone on with
/// later. Used on one thread.
class fiber {
public:
    /// Throws `std::bad_alloc` where there is no room for a stack.
    fiber();
    ~fiber();
    fiber(const fiber&) = delete;
    fiber& operator=(const fiber&) = delete;

    /// Begins `f(argument)`, or goes on with what was left. True when the function has returned, false when
    /// it has called `leave`. Called from outside of it.
    bool enter() noexcept;
    void begin(void (*f)(void*) noexcept, void* argument) noexcept;
    /// From inside: back to who called `enter`, until it is called again.
    void leave() noexcept;

private:
    static void body(unsigned high, unsigned low) noexcept;
    void loop() noexcept;
    [[gnu::noinline]] static void change(fiber_state& from, fiber_state& to, bool for_good = false) noexcept;

    void* stack_;
    fiber_state inside_;
    fiber_state outside_;
    void (*f_)(void*) noexcept = nullptr;
    void* argument_ = nullptr;
    bool done_ = false;
};

} // namespace levada::detail
