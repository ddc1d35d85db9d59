#include <levada/detail/util/owner_section.hpp>

#include <pthread.h>

#include <ctime>

#include <levada/detail/util/fatal.hpp>

#include "barrier.hpp"

namespace levada::detail {
namespace {

using enum ownership::state_of;

void in_child() noexcept {
    auto& state = ownership::all.state;
    const auto now = state.load(std::memory_order_acquire);
    if (now != unowned && !(now == owned && ownership::mine)) state.store(ended, std::memory_order_seq_cst);
}

/// Whether there may be an owner: others can make it pass a barrier, and a fork is noticed.
bool may_be_owned() noexcept {
    static const bool may = barrier_for_all() && ::pthread_atfork(nullptr, nullptr, in_child) == 0;
    return may;
}

// When the library is loaded: with several threads the barrier takes milliseconds to register.
[[maybe_unused]] const bool registered = may_be_owned();

constexpr int most_tries = 50'000; // some seconds

void wait_a_little() noexcept {
    constexpr timespec little{0, 20'000};
    ::nanosleep(&little, nullptr);
}

} // namespace

ownership ownership::all;
thread_local constinit bool ownership::mine = false;

bool owner_section::owned_no_more() noexcept {
    auto& all = ownership::all;
    all.inside.store(0, std::memory_order_release);
    if (all.state.load(std::memory_order_acquire) == ended) ownership::mine = false;
    return false;
}

owner_section::entered owner_section::come() noexcept {
    auto found = unowned;
    if (may_be_owned() &&
        ownership::all.state.compare_exchange_strong(found, owned, std::memory_order_seq_cst)) {
        ownership::mine = true;
        return enter_mine();
    }
    end_for_good();
    return entered::none;
}

void owner_section::end_for_good() noexcept {
    auto& all = ownership::all;
    auto found = all.state.load(std::memory_order_acquire);
    while (found == unowned)
        if (all.state.compare_exchange_weak(found, ended, std::memory_order_seq_cst)) return;
    if (found == owned && all.state.compare_exchange_strong(found, ending, std::memory_order_seq_cst)) {
        for (int failed = 0; !barrier_for_all(); ++failed) { // it is out of memory for a moment
            if (failed == most_tries)
                fatal("membarrier(2) worked when the program began, and fails now: allow it in its seccomp "
                      "filter");
            wait_a_little();
        }
        while (!ownership::mine && all.inside.load(std::memory_order_acquire) != 0) wait_a_little();
        all.state.store(ended, std::memory_order_seq_cst);
        return;
    }
    while (all.state.load(std::memory_order_acquire) != ended) wait_a_little();
}

} // namespace levada::detail
