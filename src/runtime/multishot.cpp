#include <levada/runtime/multishot.hpp>

#include <cerrno>
#include <utility>

#include <levada/base/fatal.hpp>

#include "ring.hpp"

namespace levada::detail {

multishot::multishot() noexcept {
    armed_.self = this;
    background_ = true; // who waits for it is counted instead
}

void multishot::want(executor& on) noexcept {
    lock_guard guard(lock_);
    if (loop_) return;
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
    lock_guard guard(lock_);
    loop_ = nullptr;
    return abandoned_;
}

void multishot::abandon() noexcept {
    if (is_waited_for())
        fatal(
            "a stream or a listener was destroyed while a task waits for it: declare it before what uses it");
    bool here = false;
    {
        lock_guard guard(lock_);
        abandoned_ = true;
        if (loop_) {
            here = executor::current() == loop_;
            if (!here) {
                refs_.add();
                loop_->post(static_cast<work&>(*this));
            }
        }
    }
    if (here) stop();
    unref();
}

void multishot::run() noexcept {
    bool armed;
    {
        lock_guard guard(lock_);
        armed = loop_ != nullptr;
    }
    if (armed) stop();
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
    const bool again = next_ == next::again || (next_ == next::more && !is_full());
    const bool ends = loop_ends_;
    executor* on;
    {
        lock_guard guard(lock_);
        if (again && !abandoned_ && !ends) return arm();
        ring_->multishots_.erase(armed_);
        on = std::exchange(loop_, nullptr);
    }
    // Idle: from here on another loop may arm it.
    if (is_waited_for()) {
        if (ends) cut_off();
        else want(*on);
    }
    unref();
}

void awaited::begin(executor& home) noexcept {
    ring_ = home.kernel();
    if (ring_) ring_->awaited_.add();
}

void awaited::end() noexcept { (void)ring_->awaited_.drop(); }

} // namespace levada::detail
