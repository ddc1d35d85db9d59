#include <levada/base/lock.hpp>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace levada::detail {
namespace {

constexpr int spins = 100; // about a microsecond: longer than any section that is held

long futex(std::atomic<std::uint32_t>& word, int op, std::uint32_t value) noexcept {
    static_assert(sizeof(word) == sizeof(std::uint32_t));
    return ::syscall(SYS_futex, &word, op | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

} // namespace

void lock::acquire_slow() noexcept {
    for (int i = 0; i < spins; ++i) {
        std::uint32_t free = 0;
        if (word_.load(std::memory_order_relaxed) == 0 &&
            word_.compare_exchange_weak(free, 1, std::memory_order_acquire, std::memory_order_relaxed))
            return;
        relax();
    }
    // Who has slept takes the lock as 2, since others may sleep still: one wake too many, never one too few.
    while (word_.exchange(2, std::memory_order_acquire) != 0) futex(word_, FUTEX_WAIT, 2);
}

void lock::wake() noexcept { futex(word_, FUTEX_WAKE, 1); }

} // namespace levada::detail
