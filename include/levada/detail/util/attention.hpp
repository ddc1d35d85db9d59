#pragma once

#include <atomic>
#include <cstdint>

namespace levada::detail {

/// What calls a loop away from the task that it runs: a completion or timeout in its ring, a post from
/// another thread, a look that the loop itself wants to take. Running tasks ask after each operation that
/// completed at once, so the answer costs two loads, and neither a clock nor a system call.
///
/// It only says when to look. What is found there is ordered by the ring's and the inbox's own accesses, so
/// relaxed loads will do.
class attention {
public:
    // Set by any thread:
    static constexpr std::uint32_t posted = 1; // something is in the inbox
    static constexpr std::uint32_t look = 2; // the loop wants to be asked, once, or an idle one asks for work
    // By the loop's own:
    static constexpr std::uint32_t queued = 4; // the ring holds entries that the kernel has not got
    static constexpr std::uint32_t urgent = 8; // tasks are ready that go before the usual ones

    void set(std::uint32_t flag) noexcept { flags_.fetch_or(flag, std::memory_order_seq_cst); }
    void clear(std::uint32_t flag) noexcept { flags_.fetch_and(~flag, std::memory_order_seq_cst); }
    [[nodiscard]] bool has(std::uint32_t flag,
                           std::memory_order o = std::memory_order_seq_cst) const noexcept {
        return (flags_.load(o) & flag) != 0;
    }
    /// From now on the kernel calls while `word` is not `quiet`. On the loop's thread, as all below.
    void watch(const unsigned* word, unsigned quiet) noexcept {
        word_ = word;
        quiet_ = quiet;
    }
    /// After what the kernel called for was seen, where `word` counts on.
    void set_quiet(unsigned quiet) noexcept { quiet_ = quiet; }

    /// Whether anybody calls. Asked after each operation that completed at once, so it is two loads.
    // relaxed: who sees it late, sees it after the next operation.
    [[nodiscard]] bool wanted() const noexcept { return wanted_beside(0); }
    /// Whether anybody calls but by `flag`.
    [[nodiscard]] bool wanted_beside(std::uint32_t flag) const noexcept {
        return ((flags_.load(std::memory_order_relaxed) & ~flag) |
                (__atomic_load_n(word_, __ATOMIC_RELAXED) ^ quiet_)) != 0;
    }

private:
    static constexpr unsigned nothing = 0;
    std::atomic<std::uint32_t> flags_{0};
    unsigned quiet_ = 0;
    const unsigned* word_ = &nothing;
};

/// Of loops without a ring or an inbox: nothing ever calls.
inline constinit attention no_attention;

} // namespace levada::detail
