#include <levada/detail/loop/multishot.hpp>

#include <unistd.h>

#include <cerrno>
#include <utility>

#include <levada/detail/util/fatal.hpp>

#include "ring.hpp"

namespace levada::detail {

multishot::multishot() noexcept {
    armed_.self = this;
    background_ = true; // who waits for it is counted instead
}

multishot::~multishot() {
    if (to_close_ >= 0) ::close(to_close_);
}

void multishot::want(executor& on) noexcept {
    lock_guard guard(lock_);
    if (loop_ || is_abandoned()) return;
    ring_ = on.kernel();
    if (!ring_) fatal("a kernel operation was awaited on a loop that has no ring: it needs an event_loop");
    loop_ = &on;
    loop_ends_ = false;
    ring_->multishots_.insert(armed_);
    refs_.add();
    arm();
}

void multishot::arm() noexcept {
    done_ = false;
    ring_->submit(*this);
}

void multishot::stop() noexcept {
    if (!cancelling_ && !done_) ring_->cancel(*this);
}

void multishot::end_loop() noexcept {
    loop_ends_ = true;
    stop();
}

// What the kernel has is never freed.
bool multishot::forget() noexcept {
    let_go();
    lock_guard guard(lock_);
    loop_ = nullptr;
    if (to_close_ >= 0) ::close(std::exchange(to_close_, -1)); // nobody hands entries over there any more
    return is_abandoned();
}

bool multishot::abandon(int fd) noexcept {
    if (is_in_use()) {
        fatal_unless_exiting(
            "a stream or a listener was destroyed while a task waits for it: declare it before what uses it");
        return false;
    }
    bool here = false;
    bool left = false;
    {
        lock_guard guard(lock_);
        abandoned_.store(true, std::memory_order_relaxed);
        if (loop_) {
            here = loop_->on_own_thread();
            if (!here) {
                to_close_ = fd;
                left = true;
                if (!posted_) post(*loop_);
            }
        }
    }
    if (here) {
        stop();
        // The kernel lets go of it, and of a listener's address.
        left = !ring_->hand_over();
        if (left) to_close_ = fd;
    }
    unref();
    return left;
}

void multishot::post(executor& e) noexcept {
    posted_ = true;
    refs_.add();
    e.post(static_cast<work&>(*this));
}

void multishot::post_to(executor& e) noexcept {
    lock_guard guard(lock_);
    if (!posted_ && !loop_) post(e);
}

void multishot::run() noexcept {
    executor& here = *executor::current();
    bool armed;
    {
        lock_guard guard(lock_);
        posted_ = false;
        armed = loop_ != nullptr;
        if (is_abandoned() && armed && loop_ != &here) {
            post(*loop_);
            armed = false;
        }
        armed = armed && is_abandoned();
    }
    if (armed) {
        if (here.on_own_thread()) stop();
    } else if (is_waited_for()) {
        if (here.on_own_thread()) want(here);
        else post_to_waiter(); // this loop has ended too
    }
    unref();
}

void multishot::completed(int result, unsigned flags, bool of_cancel) noexcept {
    if (!of_cancel) {
        const bool more = (flags & IORING_CQE_F_MORE) != 0;
        if (!more) {
            --pending_;
            done_ = true;
        }
        next_ = arrived(result, flags);
        if (more && next_ == next::more && is_full()) stop();
    } else {
        --pending_;
        // It was between two of the kernel's tries, when it can not be found; it may wait again by now.
        if (result == -ENOENT && !done_) ring_->cancel(*this);
    }
    if (pending_ == 0) retired();
}

void multishot::retired() noexcept {
    ring_->ended(*this);
    let_go();
    const bool again = next_ == next::again || (next_ == next::more && !is_full());
    const bool ends = loop_ends_;
    executor* on;
    {
        lock_guard guard(lock_);
        if (again && !is_abandoned() && !ends) return arm();
        ring_->multishots_.erase(armed_);
        on = std::exchange(loop_, nullptr);
    }
    // Idle: from here on another loop may arm it.
    if (ends) post_to_waiter();
    else if (is_waited_for()) want(*on);
    unref();
}

void awaited::begin(executor& home) noexcept {
    ring_ = home.kernel();
    if (ring_) ring_->awaited_.add();
}

void awaited::end() noexcept {
    if (ring_) (void)std::exchange(ring_, nullptr)->awaited_.drop();
}

} // namespace levada::detail
