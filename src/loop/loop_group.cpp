#include "loop_group.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "forks.hpp"
#include "handlers.hpp"
#include "others.hpp"
#include "ring.hpp"

namespace levada::detail {
namespace {

constexpr std::chrono::milliseconds first_look_again{4};
// From the kill() of a task's until a loop sees the signal: far more than a busy machine needs for that.
constexpr std::chrono::milliseconds signals_arrive_in{100};
constexpr unsigned most_doublings = 14; // about a minute

} // namespace

loop_group::loop_group(std::size_t loops, bool pinned, bool eager)
    : wanted_(loops),
      pinned_(pinned),
      eager_(eager && !pinned),
      first_(loops_.emplace_back(std::make_unique<event_loop>()).get()) {
    made_in_ = forks();
    first_->join_group(*this, *first_);
}

loop_group::~loop_group() {
    if (made_in_ != forks()) {
        if (!threads_.empty()) used_after_fork("a runtime");
        watcher_.forget_thread();
        first_watcher_started_ = false;
        if (phase_.load() == phase::starting) phase_.store(phase::failed); // by a thread that is not here
    }
    // What was started here without `run`, or lives on, ends while the threads do.
    phase_.wait(phase::starting);
    if (started() && first().root().live() != 0) first().end_all();
    (void)stop();
    // What was posted since, and what that posts, is called while all loops are there. The first loop still
    // runs tasks; on the others they are born cancelled.
    for (bool again = made_in_ == forks(); again;) {
        again = false;
        for (const auto& l : loops_) again = l->run_late() || again;
        if (first().on_own_thread() && first().root().live() != 0) {
            first().end_all();
            again = true;
        }
    }
    while (!loops_.empty()) loops_.pop_back();
}

event_loop& loop_group::loop(std::size_t i) {
    if (i == 0) return *first_;
    start();
    if (!started())
        throw std::runtime_error("runtime::loop(" + std::to_string(i) +
                                 "): the threads of the other loops could not be started");
    return *loops_.at(i);
}

void loop_group::start() {
    if (phase_.load() == phase::alone) begin_start(true);
    phase_.wait(phase::starting);
    if (phase_.load() != phase::failed || !failure_) return;
    join_threads();
    phase_.store(phase::alone);
    std::rethrow_exception(std::exchange(failure_, nullptr));
}

void loop_group::start_soon() noexcept {
    if (phase_.load() != phase::alone) return;
    try {
        begin_start(false);
    } catch (const std::exception& e) {
        give_up(e.what());
    }
}

bool loop_group::claim_start(bool may_fail) noexcept {
    phase found = phase::alone;
    if (size() == 1 || stop_.load() || !phase_.compare_exchange_strong(found, phase::starting)) return false;
    start_may_fail_ = may_fail;
    return true;
}

void loop_group::make_room() {
    sleepers_.reserve(size());
    loops_.reserve(size());
    threads_.reserve(size());
}

// On the first loop's thread.
void loop_group::begin_start(bool may_fail) {
    if (!claim_start(may_fail)) return;
    if (first_watcher_started_) return watcher_.call_away();
    try {
        make_room();
        cpus_ = allowed_cpus();
        start_thread<&loop_group::start_others>();
    } catch (...) {
        phase_.store(phase::alone);
        throw;
    }
}

void loop_group::wake_watcher() noexcept {
    if (!has_watcher_.load(std::memory_order_relaxed) && phase_.load() == phase::alone &&
        !first_watcher_started_ && shares() && !stop_.load()) {
        cpus_ = allowed_cpus();
        watcher_.begin();
        has_watcher_.store(true); // first: it may become a loop's at once
        try {
            start_thread_of<&loop_group::run_watcher>(first_watcher_);
            first_watcher_started_ = true;
        } catch (const std::system_error&) {
            has_watcher_.store(false);
            // Then coarse work is seen after its first step only, and says so if there is no thread still.
        }
    }
    if (has_watcher_.load()) watcher_.wake();
}

void loop_group::run_watcher() noexcept {
    ::pthread_setname_np(::pthread_self(), "levada-watch");
    if (watcher_.run()) {
        has_watcher_.store(false);
        start_others();
    }
}

void loop_group::watch_others() noexcept {
    ::pthread_setname_np(::pthread_self(), "levada-watch");
    (void)watcher_.run();
}

bool loop_group::take_behind(event_loop& l) noexcept {
    if (!l.anything_waits() || !shares() || (started() && !anybody_idle())) return false;
    // Before the visit: a loop that finds its queue empty after it, and sleeps, sees this.
    visiting_.store(true, std::memory_order_seq_cst);
    const bool some = l.offer_behind_it();
    const bool starts = some && !started() && claim_start(false);
    if (some && !starts && !started()) l.nudge(); // nobody may come for it
    visiting_.store(false, std::memory_order_seq_cst);
    return starts;
}

// Whose they are does not change while all loops sleep, but for a start.
std::size_t loop_group::own_threads() const noexcept {
    return (started() ? loops_.size() : 1) + (has_watcher_.load() ? 1 : 0);
}

// There first: the thread may add those that it starts.
template <void (loop_group::*Run)() noexcept>
void loop_group::start_thread() {
    try {
        start_thread_of<Run>(threads_.emplace_back());
    } catch (...) {
        threads_.pop_back();
        throw;
    }
}

template <void (loop_group::*Run)() noexcept>
void loop_group::start_thread_of(pthread_t& made) {
    const auto enter = [](void* self) -> void* {
        auto& group = *static_cast<loop_group*>(self);
        group.cpus_.take();
        (group.*Run)();
        return nullptr;
    };
    if (const int error = cpus_.start_thread_elsewhere(made, enter, this); error != 0)
        throw std::system_error(error, std::generic_category(), "pthread_create");
}

// On the second loop's thread, which then runs that loop.
void loop_group::start_others() noexcept {
    phase ended_as = phase::started;
    try {
        make_room();
        while (loops_.size() < size()) {
            auto made = std::make_unique<event_loop>();
            made->join_group(*this, first());
            loops_.push_back(std::move(made));
        }
        for (std::size_t i = 2; i < size(); ++i) start_thread<&loop_group::run_next>();
        if (shares() && !eager()) watch_all();
    } catch (const std::exception& e) {
        if (start_may_fail_) failure_ = std::current_exception();
        else give_up(e.what());
        ended_as = phase::failed;
    }
    phase_.store(ended_as);
    phase_.notify_all();
    first().nudge(); // it may sleep, and nobody would find it among the sleepers
    run_next();
}

void loop_group::watch_all() noexcept {
    watcher_.begin();
    has_watcher_.store(true);
    try {
        start_thread<&loop_group::watch_others>();
    } catch (const std::exception&) { // then a loop lays out what is ready between two steps only
        has_watcher_.store(false);
    }
    watcher_.wake(); // for the loops that believe that somebody watches; it rests when they do
}

// Which of the loops a thread runs does not matter.
void loop_group::run_next() noexcept {
    phase_.wait(phase::starting);
    if (phase_.load() != phase::started) return;
    const std::size_t i = next_to_run_.fetch_add(1);
    const std::string name = "levada-" + std::to_string(i);
    ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
    loops_[i]->run_in_group(stop_);
}

// One thread does all the work, as before.
void loop_group::give_up(const char* why) noexcept {
    std::fprintf(stderr, "levada: no more threads could be started (%s): going on with one\n", why);
    wanted_.store(1, std::memory_order_relaxed);
}

void loop_group::join_threads() noexcept {
    phase_.wait(phase::starting);
    watcher_.end();
    if (std::exchange(first_watcher_started_, false)) ::pthread_join(first_watcher_, nullptr);
    for (const pthread_t t : threads_) ::pthread_join(t, nullptr);
    threads_.clear();
    has_watcher_.store(false);
    watcher_.begin(); // it rests: whoever runs tasks wakes another one
}

bool loop_group::stop() noexcept {
    stop_.store(true, std::memory_order_seq_cst);
    phase found = phase::alone;
    (void)phase_.compare_exchange_strong(found, phase::failed); // nobody starts them from now on
    phase_.wait(phase::starting);
    for (std::size_t i = 1; i < loops_.size(); ++i) loops_[i]->stop();
    join_threads();
    return true;
}

void loop_group::work_offered() noexcept {
    if (idle_.load(std::memory_order_seq_cst) == 0 || searching_.load(std::memory_order_seq_cst) != 0) return;
    event_loop* sleeper = nullptr;
    {
        lock_guard guard(idle_lock_);
        if (sleepers_.empty()) return;
        sleeper = sleepers_.back();
        sleepers_.pop_back();
        idle_.store(static_cast<std::uint32_t>(sleepers_.size()), std::memory_order_seq_cst);
        woken_at_.store(ticks(), std::memory_order_relaxed);
        searching_.fetch_add(1, std::memory_order_seq_cst); // for the sleeper, which finds itself taken out
    }
    sleeper->nudge();
}

bool loop_group::anything_offered() const noexcept {
    return std::any_of(loops_.begin(), loops_.end(), [](const auto& l) { return l->offers_work(); });
}

bool loop_group::search(event_loop& thief) noexcept {
    if (pinned_) return false;
    const std::size_t n = loops_.size();
    // From a place of its own, so that not all thieves go to the same loop first.
    const std::size_t begin = thief.random(static_cast<std::uint32_t>(n));
    for (std::size_t i = 0; i < n; ++i) {
        event_loop& from = *loops_[(begin + i) % n];
        if (&from == &thief && thief_comes()) continue;
        if (!from.let_steal(thief)) continue;
        if (anything_offered()) work_offered();
        return true;
    }
    return false;
}

bool loop_group::goes_idle(event_loop& l) noexcept {
    {
        lock_guard guard(idle_lock_);
        sleepers_.push_back(&l);
        if (l.looks_ == 0) quiet_since_ = time_point::max(); // it has run a task
        idle_.store(static_cast<std::uint32_t>(sleepers_.size()), std::memory_order_seq_cst);
    }
    if (!anything_offered()) {
        // A task that runs for long lets its loop lay out what waits behind it.
        for (const auto& other : loops_)
            if (other.get() != &l) other->ask_for_work();
        return true;
    }
    (void)woke_up(l);
    return false;
}

bool loop_group::woke_up(event_loop& l) noexcept {
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

time_point loop_group::look_for_deadlock(unsigned looks) noexcept {
    if (!main_.load(std::memory_order_relaxed) || shutting_down_.load(std::memory_order_relaxed))
        return time_point::max();
    bool all_run = false;
    {
        // Held throughout: no loop leaves sleepers_, so none takes its inbox or runs a task meanwhile. The
        // others are looked for first: what they have posted is there when the inboxes are looked at.
        lock_guard guard(idle_lock_);
        const phase at = phase_.load(std::memory_order_seq_cst); // first: the rest may be younger, not older
        all_run = at == phase::started;
        if (all_run && sleepers_.size() != loops_.size()) return time_point::max();
        // Tasks may be on their way from a loop that sleeps now to one that is started, or has to be woken.
        if (visiting_.load(std::memory_order_seq_cst) || at == phase::starting ||
            (!all_run && first_->offers_work()))
            return first().now() + first_look_again;
        const others seen = look_for_others(own_threads(), looks != 0);
        const bool in_a_handler = signal_handlers.load(std::memory_order_seq_cst) != 0;
        for (std::size_t i = 0; i < (all_run ? loops_.size() : 1); ++i) {
            const event_loop* const l = i == 0 ? first_ : loops_[i].get();
            // By has_news a signal, say, is on its way to its task. Asked first: a loop that takes news is
            // not quiet any more before it does.
            // What the kernel has put off may come to nothing, and then wakes no loop to look again.
            if (l->ring_->has_news()) return first().now() + first_look_again;
            if (!l->quiet() || l->ring_->awaited() != 0) return time_point::max();
        }
        if (all_run && anything_offered()) return time_point::max();
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

void loop_group::report(event_loop& from) noexcept {
    if (&from == first_) return;
    const task_block* main = main_.load(std::memory_order_acquire);
    const bool news = shutting_down_.load(std::memory_order_seq_cst)
                          ? from.root().live() == 0
                          : main && main->state() == park_state::ended;
    if (news) first().nudge();
}

} // namespace levada::detail
