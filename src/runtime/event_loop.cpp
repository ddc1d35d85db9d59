#include <levada/runtime/event_loop.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <string>
#include <system_error>

#include <levada/base/errc.hpp>
#include <levada/base/fatal.hpp>

#include "ring.hpp"

// Invariants:
// 1. `ready_`, the timers and the ring are touched on the loop's thread only; other threads push to `inbox_`.
// 2. Who pushes to the inbox sets `inbox_full_`, then looks at `sleeping_`; the loop sets `sleeping_`, then
//    looks at `inbox_full_`; all four sequentially consistent. So either the loop sees the push before it
//    sleeps, or the pusher sees that it sleeps, and wakes it. One who wakes it clears `sleeping_`: the rest
//    of a burst costs no system call.

namespace levada {
namespace {

// How many tasks run before the loop looks at its ring and its timers.
constexpr int tasks_a_turn = 256;

} // namespace

/// Wakes the loop from other threads: an eventfd that the ring always polls. (To read it through the ring
/// would leave the kernel a buffer of ours when the loop is destroyed on another thread.)
class event_loop::waker final : public detail::ring_entry {
public:
    explicit waker(detail::ring& r) : ring_(r), fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        if (fd_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
        background_ = true;
    }
    ~waker() { ::close(fd_); }

    void listen() noexcept { ring_.submit(*this); }
    void wake() noexcept {
        const std::uint64_t one = 1;
        // The counter cannot overflow: the loop reads it at every wake.
        while (::write(fd_, &one, sizeof(one)) < 0 && errno == EINTR) {
        }
    }
    /// Takes the read back from the kernel.
    void close() noexcept {
        closing_ = true;
        if (pending_ == 0) return;
        ring_.cancel(*this);
        while (pending_ != 0) ring_.wait(time_point::max());
    }

private:
    void prepare(io_uring_sqe& sqe) noexcept override { io_uring_prep_poll_add(&sqe, fd_, POLLIN); }
    void completed(int, bool) noexcept override {
        if (--pending_ != 0) return;
        ring_.ended(*this);
        if (closing_) return;
        std::uint64_t count;
        while (::read(fd_, &count, sizeof(count)) < 0 && errno == EINTR) {
        }
        listen();
    }

    detail::ring& ring_;
    int fd_;
    bool closing_ = false;
};

event_loop::event_loop() : ring_(std::make_unique<detail::ring>()), waker_(std::make_unique<waker>(*ring_)) {
    set_direct(ready_);
}

event_loop::~event_loop() {
    {
        detail::lock_guard guard(inbox_lock_); // whoever has posted, or stopped us, has let go of the loop
    }
    const bool here = !entered_ || owner_ == std::this_thread::get_id();
    (void)take_inbox();
    if (root().live() != 0 || ring_->in_flight() != 0 || !ready_.empty() ||
        (here && ring_->background() > 1)) {
        if (!here)
            detail::fatal(
                "an event_loop was destroyed on another thread than the one that ran it, while tasks "
                "live on it");
        enter();
        detail::enter_executor entered(*this);
        shut_down(duration::max());
    }
    // On another thread the ring may not be used; closing it ends the poll, which has no memory of ours.
    if (entered_ && here) waker_->close();
}

void event_loop::enter() {
    if (entered_) return;
    ring_->enable();
    owner_ = std::this_thread::get_id();
    waker_->listen();
    entered_ = true;
}

void event_loop::post(work& w) noexcept {
    if (detail::single_threaded() || executor::current() == this) {
        ready_.push(w);
        return;
    }
    // All of it under the lock: once it is let go, the work may run, and the loop may be destroyed by it.
    detail::lock_guard guard(inbox_lock_);
    inbox_.push(w);
    inbox_full_.store(true, std::memory_order_seq_cst);
    if (sleeping_.exchange(false, std::memory_order_seq_cst)) waker_->wake();
}

void event_loop::stop() noexcept {
    detail::lock_guard guard(inbox_lock_);
    stop_.store(true, std::memory_order_seq_cst);
    if (sleeping_.exchange(false, std::memory_order_seq_cst)) waker_->wake();
}

std::size_t event_loop::in_flight() const noexcept { return ring_->in_flight(); }

bool event_loop::take_inbox() noexcept {
    if (!inbox_full_.load(std::memory_order_relaxed)) return false;
    inbox_full_.store(false, std::memory_order_seq_cst);
    detail::lock_guard guard(inbox_lock_);
    if (inbox_.empty()) return false;
    ready_.append(std::move(inbox_));
    return true;
}

bool event_loop::run_ready() noexcept {
    bool ran = false;
    for (int i = 0; i < tasks_a_turn; ++i) {
        work* w = ready_.pop();
        if (!w) break;
        ran = true;
        w->run();
    }
    return ran;
}

// Runs what is ready, then looks at the ring and the clock; sleeps until `until` at most if nothing is.
bool event_loop::turn(time_point until) {
    (void)take_inbox();
    bool did = run_ready();
    const time_point next = run_timers();
    if (!ready_.empty() || did) {
        if (ring_->wants_poll()) ring_->poll();
        return true;
    }
    sleeping_.store(true, std::memory_order_seq_cst);
    if (inbox_full_.load(std::memory_order_seq_cst) || stop_.load(std::memory_order_seq_cst)) {
        sleeping_.store(false, std::memory_order_relaxed);
        if (ring_->wants_poll()) ring_->poll();
        return true;
    }
    ring_->wait(std::min(until, next));
    sleeping_.store(false, std::memory_order_relaxed);
    (void)run_timers();
    return !ready_.empty();
}

void event_loop::run() {
    if (executor::current()) detail::fatal("event_loop::run on a loop's own thread");
    enter();
    detail::enter_executor entered(*this);
    while (!stop_.exchange(false, std::memory_order_seq_cst)) {
        if (ready_.empty() && !take_inbox() && root().live() == 0) break;
        (void)turn(time_point::max());
    }
}

bool event_loop::run_once(duration timeout) {
    if (executor::current()) detail::fatal("event_loop::run_once on a loop's own thread");
    enter();
    detail::enter_executor entered(*this);
    const bool did = turn(detail::saturating_add(now(), timeout));
    return run_ready() || did;
}

bool event_loop::asleep_for_ever() const noexcept {
    // Another thread of the process might wake a task, so with others nobody can know.
    return detail::single_threaded() && ready_.empty() && ring_->in_flight() == 0 &&
           next_deadline() == time_point::max();
}

bool event_loop::run_main(detail::control& main, duration shutdown_limit) {
    if (executor::current()) detail::fatal("levada::run on a loop's own thread: co_await the task instead");
    enter();
    detail::enter_executor entered(*this);
    bool asleep = false;
    while (main.state() != detail::park_state::ended) {
        if (asleep_for_ever()) {
            std::fflush(stdout);
            std::fprintf(stderr, "levada: all tasks are asleep, and nothing can wake them:\n%s",
                         detail::list_tasks(*this).c_str());
            asleep = true;
            break;
        }
        (void)turn(time_point::max());
    }
    shut_down(shutdown_limit);
    return !asleep;
}

// Cancels and joins all that lives here. What is started meanwhile is born cancelled, below the same root.
void event_loop::shut_down(duration limit) {
    const time_point deadline = detail::saturating_add(now(), limit);
    root().cancel(make_error_code(errc::cancelled));
    while (take_inbox() || root().live() != 0 || ring_->in_flight() != 0 || !ready_.empty()) {
        if (now() >= deadline) {
            const std::string left = detail::list_tasks(*this);
            detail::fatal("the shutdown took longer than its limit; what still runs:\n" + left);
        }
        (void)turn(deadline);
    }
    renew_root();
}

} // namespace levada
