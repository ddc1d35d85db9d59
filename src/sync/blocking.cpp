#include <levada/sync/blocking.hpp>

#include <condition_variable>
#include <mutex>

#include <levada/base/fatal.hpp>

namespace levada::detail {
namespace {

/// Where plain threads are woken: posting runs at once, which is no more than a notification.
class thread_executor final : public executor {
public:
    void post(work& w) noexcept override { w.run(); }
    void arm(time_point) noexcept override {}
};

executor& threads() noexcept {
    static thread_executor* e = new thread_executor; // never destroyed: threads may wait after main
    return *e;
}

class thread_parker final : public parker {
public:
    thread_parker() noexcept : parker(&threads()) { pin(); }

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

bool block_on_arm(arm& a, time_point deadline) noexcept {
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
        return true;
    }
    a.who = &self;
    a.index = 0;
    self.begin_arming();
    bool parked = !a.link() && self.publish();
    if (l) l->release();
    if (!parked) return true;
    if (deadline == time_point::max()) {
        self.sleep();
        return true;
    }
    if (self.sleep_until(deadline)) return true;
    if (self.unpark()) {
        a.unlink();
        return false;
    }
    self.sleep(); // claimed meanwhile: the wake is on its way
    return true;
}

} // namespace levada::detail
