#include "fiber.hpp"

#include <cxxabi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define LEVADA_INTERNAL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEVADA_INTERNAL_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define LEVADA_INTERNAL_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LEVADA_INTERNAL_TSAN 1
#endif
#endif

#ifdef LEVADA_INTERNAL_ASAN
extern "C" void __sanitizer_start_switch_fiber(void** fake_stack, const void* stack, std::size_t size);
extern "C" void __sanitizer_finish_switch_fiber(void* fake_stack, const void** stack, std::size_t* size);
#endif
#ifdef LEVADA_INTERNAL_TSAN
extern "C" void* __tsan_get_current_fiber();
extern "C" void* __tsan_create_fiber(unsigned flags);
extern "C" void __tsan_destroy_fiber(void* fiber);
extern "C" void __tsan_switch_to_fiber(void* fiber, unsigned flags);
#endif

namespace levada::detail {
namespace {

// As large as a thread's, since tests call what they like. Only what is used takes memory.
constexpr std::size_t stack_size = std::size_t(8) << 20;

std::size_t guard_size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

// Itanium C++ ABI, 2.2.2: what __cxa_get_globals() gives begins with these two.
struct exception_globals {
    void* caught;
    unsigned uncaught;
};
exception_globals& exceptions() noexcept {
    return *reinterpret_cast<exception_globals*>(abi::__cxa_get_globals());
}

} // namespace

fiber::fiber()
    : stack_(::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0)) {
    if (stack_ == MAP_FAILED) throw std::bad_alloc();
    (void)::mprotect(stack_, guard_size(), PROT_NONE); // stacks grow down
    inside_.stack = stack_;
    inside_.size = stack_size;
    ::getcontext(&inside_.context);
    inside_.context.uc_stack.ss_sp = stack_;
    inside_.context.uc_stack.ss_size = stack_size;
    inside_.context.uc_link = nullptr;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    ::makecontext(&inside_.context, reinterpret_cast<void (*)()>(&fiber::body), 2,
                  static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
#ifdef LEVADA_INTERNAL_TSAN
    inside_.tsan = __tsan_create_fiber(0);
#endif
}

fiber::~fiber() {
    f_ = nullptr; // AddressSanitizer has a stack of its own beside ours, which goes as the fiber ends
    change(outside_, inside_);
#ifdef LEVADA_INTERNAL_TSAN
    __tsan_destroy_fiber(inside_.tsan);
#endif
    ::munmap(stack_, stack_size);
}

void fiber::begin(void (*f)(void*) noexcept, void* argument) noexcept {
    f_ = f;
    argument_ = argument;
    done_ = false;
}

bool fiber::enter() noexcept {
    change(outside_, inside_);
    return done_;
}

void fiber::leave() noexcept { change(inside_, outside_); }

void fiber::body(unsigned high, unsigned low) noexcept {
    auto* const self = reinterpret_cast<fiber*>((static_cast<std::uintptr_t>(high) << 32) |
                                                static_cast<std::uintptr_t>(low));
    self->loop();
}

void fiber::loop() noexcept {
#ifdef LEVADA_INTERNAL_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &outside_.stack, &outside_.size);
#endif
    while (f_) {
        f_(argument_);
        done_ = true;
        leave();
    }
    change(inside_, outside_, true);
}

void fiber::change(fiber_state& from, fiber_state& to, [[maybe_unused]] bool for_good) noexcept {
    from.caught = exceptions().caught;
    from.uncaught = exceptions().uncaught;
    exceptions().caught = to.caught;
    exceptions().uncaught = to.uncaught;
#ifdef LEVADA_INTERNAL_TSAN
    from.tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to.tsan, 0);
#endif
#ifdef LEVADA_INTERNAL_ASAN
    __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake_stack, to.stack, to.size);
#endif
    ::swapcontext(&from.context, &to.context);
#ifdef LEVADA_INTERNAL_ASAN
    // Back in `from`; where we came from is `to`, whose bounds are known but for the thread's own stack.
    __sanitizer_finish_switch_fiber(from.fake_stack, &to.stack, &to.size);
#endif
}

} // namespace levada::detail
