#include <levada/detail/util/lock.hpp>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

#include "barrier.hpp"

namespace levada::detail {
namespace {

constexpr int tries = 100; // about a microsecond: longer than any section that is held

long futex(std::atomic<std::uint32_t>& word, int op, std::uint32_t value, const timespec* limit) noexcept {
    static_assert(sizeof(word) == sizeof(std::uint32_t));
    return ::syscall(SYS_futex, &word, op | FUTEX_PRIVATE_FLAG, value, limit, nullptr, 0);
}

} // namespace

std::atomic<std::uint32_t> lock_sleepers::table[size];

void thread_lock::acquire_slow() noexcept {
    for (int i = 0; i < tries; ++i) {
        if (word_.load(std::memory_order_relaxed) == 0 && word_.exchange(1, std::memory_order_acquire) == 0)
            return;
        relax();
    }
    std::atomic<std::uint32_t>& sleepers = lock_sleepers::on(this);
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    constexpr timespec a_millisecond{0, 1'000'000};
    const timespec* const limit = barrier_for_all() ? nullptr : &a_millisecond;
    while (word_.exchange(1, std::memory_order_seq_cst) != 0) futex(word_, FUTEX_WAIT, 1, limit);
    sleepers.fetch_sub(1, std::memory_order_seq_cst);
}

void thread_lock::wake() noexcept { futex(word_, FUTEX_WAKE, 1, nullptr); }

} // namespace levada::detail
