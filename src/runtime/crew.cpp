#include "crew.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "forks.hpp"
#include "handlers.hpp"
#include "no_signals.hpp"
#include "others.hpp"
#include "ring.hpp"

namespace levada::detail {
namespace {

constexpr std::chrono::milliseconds first_look_again{4};
// From the kill() of a task's until a loop sees the signal: far more than a busy machine needs for that.
constexpr std::chrono::milliseconds signals_arrive_in{100};
constexpr unsigned most_doublings = 14; // about a minute

} // namespace

crew::crew(std::size_t loops, bool pinned, bool eager)
    : wanted_(loops), pinned_(pinned), eager_(eager && !pinned) {
    loops_.push_back(std::make_unique<event_loop>());
    made_in_ = forks();
    loops_.front()->join_crew(*this, *loops_.front());
}

crew::~crew() {
    if (made_in_ != forks() && !threads_.empty()) used_after_fork("a runtime");
    // What was started here without `run`, or lives on, ends while the threads do.
    if (started() && first().root().live() != 0) first().end_all();
    (void)stop();
    // What was posted since, and what that posts, is called while all loops are there. The first loop still
    // runs tasks; on the others they are born cancelled.
    for (bool again = true; again;) {
        again = false;
        for (const auto& l : loops_) again = l->run_late() || again;
        if (first().on_own_thread() && first().root().live() != 0) {
            first().end_all();
            again = true;
        }
    }
    while (!loops_.empty()) loops_.pop_back();
}

event_loop& crew::loop(std::size_t i) {
    if (i != 0) start();
    return *loops_.at(i);
}

void crew::start() {
    if (started() || wanted_ == 1 || stop_.load(std::memory_order_seq_cst)) return;
    sleepers_.reserve(wanted_);
    loops_.reserve(wanted_);
    while (loops_.size() < wanted_) { // may throw, and be tried again
        auto made = std::make_unique<event_loop>();
        made->join_crew(*this, first());
        loops_.push_back(std::move(made));
    }
    const no_signals during;
    threads_.reserve(wanted_ - 1);
    std::atomic<int> all_there{0}; // 1: yes; -1: one could not be made, so none of them runs
    const auto let_go = [&all_there](int how) {
        all_there.store(how);
        all_there.notify_all();
    };
    try {
        for (std::size_t i = 1; i < wanted_; ++i) {
            threads_.emplace_back([this, i, &all_there] {
                all_there.wait(0);
                if (all_there.load() < 0) return;
                running_.fetch_add(1);
                running_.notify_all();
                loops_[i]->run_in_crew(stop_);
            });
            const std::string name = "levada-" + std::to_string(i);
            ::pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
        }
    } catch (...) {
        let_go(-1);
        for (std::thread& t : threads_) t.join();
        threads_.clear();
        throw;
    }
    started_.store(true, std::memory_order_release);
    let_go(1);
    // They look at a variable of ours until they run.
    for (std::size_t n = running_.load(); n < threads_.size(); n = running_.load()) running_.wait(n);
}

bool crew::stop() noexcept {
    stop_.store(true, std::memory_order_seq_cst);
    for (std::size_t i = 1; i < loops_.size(); ++i) loops_[i]->stop();
    for (std::thread& t : threads_) t.join();
    threads_.clear();
    return true;
}

void crew::work_shared() noexcept {
    if (idle_.load(std::memory_order_seq_cst) == 0 || searching_.load(std::memory_order_seq_cst) != 0) return;
    event_loop* sleeper = nullptr;
    {
        lock_guard guard(idle_lock_);
        if (sleepers_.empty()) return;
        sleeper = sleepers_.back();
        sleepers_.pop_back();
        idle_.store(static_cast<std::uint32_t>(sleepers_.size()), std::memory_order_seq_cst);
        searching_.fetch_add(1, std::memory_order_seq_cst); // for the sleeper, which finds itself taken out
    }
    sleeper->nudge();
}

bool crew::anything_shared() const noexcept {
    return std::any_of(loops_.begin(), loops_.end(), [](const auto& l) { return l->shares_work(); });
}

bool crew::search(event_loop& thief) noexcept {
    if (pinned_) return false;
    const std::size_t n = loops_.size();
    // From a place of its own, so that not all thieves go to the same loop first.
    const std::size_t begin = thief.random(static_cast<std::uint32_t>(n));
    for (std::size_t i = 0; i < n; ++i)
        if (loops_[(begin + i) % n]->give_shared(thief)) {
            if (anything_shared()) work_shared();
            return true;
        }
    return false;
}

bool crew::goes_idle(event_loop& l) noexcept {
    {
        lock_guard guard(idle_lock_);
        sleepers_.push_back(&l);
        if (l.looks_ == 0) quiet_since_ = time_point::max(); // it has run a task
        idle_.store(static_cast<std::uint32_t>(sleepers_.size()), std::memory_order_seq_cst);
    }
    if (!anything_shared()) {
        // A task that runs for long lets its loop lay out what waits behind it.
        for (const auto& other : loops_)
            if (other.get() != &l) other->ask_for_work();
        return true;
    }
    (void)woke_up(l);
    return false;
}

bool crew::woke_up(event_loop& l) noexcept {
    lock_guard guard(idle_lock_);
    const auto at = std::find(sleepers_.begin(), sleepers_.end(), &l);
    if (at == sleepers_.end()) {
        // Taken out by one who shares: it counted us as searching, until now, when we are about to look.
        searching_.fetch_sub(1, std::memory_order_seq_cst);
        return true;
    }
    sleepers_.erase(at);
    idle_.store(static_cast<std::uint32_t>(sleepers_.size()), std::memory_order_seq_cst);
    return false;
}

time_point crew::look_for_deadlock(unsigned looks) noexcept {
    if (!main_.load(std::memory_order_relaxed) || shutting_down_.load(std::memory_order_relaxed))
        return time_point::max();
    const bool all_run = started();
    {
        // Held throughout: no loop leaves sleepers_, so none takes its inbox or runs a task meanwhile. The
        // others are looked for first: what they have posted is there when the inboxes are looked at.
        lock_guard guard(idle_lock_);
        if (all_run && sleepers_.size() != loops_.size()) return time_point::max();
        const others seen = look_for_others(all_run ? loops_.size() : 1, looks != 0);
        const bool in_a_handler = signal_handlers.load(std::memory_order_seq_cst) != 0;
        for (const auto& l : loops_) {
            // By has_news a signal, say, is on its way to its task. Asked first: a loop that takes news is
            // not quiet any more before it does.
            // What the kernel has put off may come to nothing, and then wakes no loop to look again.
            if (l->ring_->has_news()) return first().now() + first_look_again;
            if (!l->quiet() || l->ring_->awaited() != 0) return time_point::max();
            if (!all_run) break; // the first alone runs
        }
        if (anything_shared()) return time_point::max();
        if (seen != others::none)
            return first().now() + first_look_again * (1u << std::min(looks, most_doublings));
        if (in_a_handler) return first().now() + first_look_again;
        if (signal_channels.load(std::memory_order_seq_cst) != 0) {
            const time_point now = first().now();
            if (looks == 0 || quiet_since_ == time_point::max()) quiet_since_ = now;
            if (now < quiet_since_ + signals_arrive_in) return quiet_since_ + signals_arrive_in;
        }
    }
    asleep_.store(true, std::memory_order_seq_cst);
    first().nudge();
    return time_point::max();
}

void crew::report(event_loop& from) noexcept {
    if (&from == loops_.front().get()) return;
    const control* main = main_.load(std::memory_order_acquire);
    const bool news = shutting_down_.load(std::memory_order_seq_cst)
                          ? from.root().live() == 0
                          : main && main->state() == park_state::ended;
    if (news) first().nudge();
}

} // namespace levada::detail
