#include <levada/detail/engine/waiter.hpp>

#include <sched.h>

#include <levada/detail/engine/wake_sources.hpp>

namespace levada {

void executor::wake(detail::waiter& p) noexcept { p.home()->post(p); }

} // namespace levada

namespace levada::detail {

bool waiter::begin_look() noexcept {
    auto w = word_.load(std::memory_order_acquire);
    const auto looked = [&] { return (w & ~std::uint64_t(0xff)) | raw(park_state::looked_at); };
    if (const owner_section section; section) {
        w = word_.load(std::memory_order_relaxed);
        if (state_of(w) != park_state::parked) return false;
        word_.store(looked(), std::memory_order_relaxed);
        return true;
    }
    while (state_of(w) == park_state::parked || state_of(w) == park_state::looked_at) {
        if (state_of(w) == park_state::looked_at) w = word_after_look(); // another dump
        else if (word_.compare_exchange_weak(w, looked(), std::memory_order_seq_cst,
                                             std::memory_order_acquire))
            return true;
    }
    return false;
}

void waiter::end_look() noexcept {
    // Nobody else changes a word that says `looked_at`. Sequentially consistent, as `store_first`.
    const auto w = word_.load(std::memory_order_relaxed);
    word_.store((w & ~std::uint64_t(0xff)) | raw(park_state::parked), std::memory_order_seq_cst);
}

std::uint64_t waiter::word_after_look() const noexcept {
    constexpr int looks = 100; // a look is shorter than that, unless its thread was preempted
    for (int i = 0;; ++i) {
        const auto w = word_.load(std::memory_order_seq_cst);
        if (state_of(w) != park_state::looked_at) return w;
        if (i < looks) relax();
        else ::sched_yield();
    }
}

void operation::wakers(wake_sources& out) const { out.add_others(); }

} // namespace levada::detail
