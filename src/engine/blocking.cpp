#include <levada/detail/engine/blocking.hpp>

#include <condition_variable>
#include <mutex>
#include <new>

#include <levada/detail/util/fatal.hpp>

namespace levada::detail {
namespace {

/// Where plain threads are woken: posting runs at once, which is no more than a notification.
class thread_executor final : public executor {
public:
    void post(work& w) noexcept override { w.run(); }
    void arm(time_point) noexcept override {}
};

executor& threads() noexcept try {
    static thread_executor* e = new thread_executor; // never destroyed: threads may wait after main
    return *e;
} catch (const std::bad_alloc&) {
    fatal("the first blocking call of the process: there is no memory for what it waits with");
}

class thread_parker final : public waiter {
public:
    thread_parker() noexcept : waiter(&threads()) { pin(); }

    void run() noexcept override {
        // Notified under the mutex: the waiter may be gone as soon as it is let go.
        std::lock_guard guard(mutex_);
        woken_ = true;
        wake_.notify_one();
    }
    void sleep() {
        std::unique_lock guard(mutex_);
        wake_.wait(guard, [this] { return woken_; });
    }
    bool sleep_until(time_point deadline) {
        std::unique_lock guard(mutex_);
        return wake_.wait_until(guard, deadline, [this] { return woken_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable wake_;
    bool woken_ = false;
};

} // namespace

namespace {

blocking_scope*& scope_of_thread() noexcept {
    thread_local blocking_scope* scope = nullptr;
    return scope;
}

constexpr std::uint32_t by_cancel = 0xffffff; // in place of an arm's number

} // namespace

void blocking_scope::enter() noexcept { scope_of_thread() = this; }
void blocking_scope::leave() noexcept { scope_of_thread() = nullptr; }

void blocking_scope::cancel() noexcept {
    work_list ready;
    lock_guard guard(lock_);
    cancelled_ = true;
    // Under the lock, by which the waiter takes itself out: so it is there still.
    if (waits_ && waits_->claim(by_cancel, ready)) post_all(ready);
}

block_end block_on_arm(arm& a, time_point deadline, bool cancellable) noexcept {
    if (executor::current())
        fatal("a blocking call was made on a loop's own thread, which would stop every task on it: "
              "co_await the operation instead");
    work_list ready;
    thread_parker self;
    lock* const l = a.shared_lock();
    if (l) l->acquire();
    if (a.try_commit(ready)) {
        if (l) l->release();
        post_all(ready);
        return block_end::done;
    }
    a.who = &self;
    a.index = 0;
    self.begin_arming();
    const bool parked = !a.link() && self.publish();
    if (l) l->release();
    if (!parked) return block_end::done;

    blocking_scope* const scope = cancellable ? scope_of_thread() : nullptr;
    if (scope) {
        lock_guard guard(scope->lock_);
        scope->waits_ = &self;
        if (scope->cancelled_ && self.unpark()) {
            scope->waits_ = nullptr;
            a.unlink();
            return block_end::cancelled;
        }
    }
    block_end end = block_end::done;
    if (deadline == time_point::max()) self.sleep();
    else if (!self.sleep_until(deadline)) {
        if (self.unpark()) end = block_end::timed_out;
        else self.sleep(); // claimed meanwhile: the wake is on its way
    }
    if (scope) {
        lock_guard guard(scope->lock_);
        scope->waits_ = nullptr;
    }
    if (end == block_end::done && self.winner() == by_cancel) end = block_end::cancelled;
    if (end != block_end::done) a.unlink();
    return end;
}

} // namespace levada::detail
