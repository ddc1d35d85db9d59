#include "watcher.hpp"

#include <algorithm>
#include <chrono>
#include <new>

#include <levada/loop/event_loop.hpp>

#include "loop_group.hpp"
#include "util/barrier.hpp"

namespace levada::detail {
namespace {

using namespace std::chrono_literals;

// Between two looks; the first ones come sooner.
constexpr std::chrono::microseconds first_pause = 100us;
constexpr std::chrono::microseconds longest_pause = 1'000us;
// So many looks in a row at loops that all rest, and it rests itself: to be woken costs a loop some us.
constexpr unsigned quiet_looks = 10;
// A work that has computed for so long, in ns, may go on to do so: others are there sooner.
constexpr std::uint64_t long_ns = 100'000;

} // namespace

void watcher::wake() noexcept {
    if (!rests()) return;
    {
        const std::lock_guard guard(mutex_);
        rests_.store(false, std::memory_order_seq_cst);
    }
    wake_.notify_one();
}

void watcher::begin() noexcept {
    const std::lock_guard guard(mutex_);
    order_ = order::watch;
    rests_.store(true, std::memory_order_seq_cst);
}

void watcher::end() noexcept {
    {
        const std::lock_guard guard(mutex_);
        order_ = order::end;
    }
    wake_.notify_one();
}

void watcher::call_away() noexcept {
    {
        const std::lock_guard guard(mutex_);
        if (order_ == order::watch) order_ = order::go;
    }
    wake_.notify_one();
}

void watcher::forget_thread() noexcept {
    // Made anew and not destroyed: it may hold the one, and wait for the other.
    ::new (static_cast<void*>(&mutex_)) std::mutex;
    ::new (static_cast<void*>(&wake_)) std::condition_variable;
}

bool watcher::run() noexcept {
    try {
        seen_.resize(group_.size());
    } catch (const std::bad_alloc&) { // then nobody is watched, as where the thread could not be started
        seen_.clear();
    }
    auto pause = first_pause;
    unsigned quiet = 0;
    has_claimed_ = false;
    std::unique_lock guard(mutex_);
    for (;;) {
        const auto called = [this] { return order_ != order::watch; };
        if (rests()) {
            wake_.wait(guard, [&] { return called() || !rests(); });
            pause = first_pause;
            quiet = 0;
        } else {
            (void)wake_.wait_for(guard, pause, called);
            pause = std::min(2 * pause, longest_pause);
        }
        if (called()) {
            const bool goes = order_ == order::go;
            if (goes) order_ = order::watch; // for whoever watches next
            return goes;
        }
        guard.unlock();
        quiet = look() ? quiet + 1 : 0;
        if (quiet >= quiet_looks) {
            rests_.store(true, std::memory_order_seq_cst);
            if (!barrier_for_all() || !all_rest()) rests_.store(false, std::memory_order_seq_cst);
        }
        if (has_claimed_) return true;
        guard.lock();
    }
}

bool watcher::all_rest() noexcept {
    bool all = true;
    group_.for_each_loop([&](std::size_t, event_loop& l) { all = all && l.rests(); });
    return all;
}

bool watcher::look() noexcept {
    bool all = true;
    group_.for_each_loop([&](std::size_t i, event_loop& l) {
        if (i >= seen_.size() || l.rests()) return;
        all = false;
        if (computes_for_long(l, seen_[i])) has_claimed_ = group_.take_behind(l) || has_claimed_;
    });
    return all;
}

bool watcher::computes_for_long(event_loop& l, seen& before) noexcept {
    const std::uint64_t ran = l.ran();
    const std::uint64_t processor = l.processor_time();
    if (!before.known || before.ran != ran || processor == 0) {
        before = {ran, processor, processor != 0};
        return false;
    }
    if (processor - before.processor < long_ns) return false;
    before.processor = processor; // the next ones after as long
    return true;
}

} // namespace levada::detail
