#include <levada/runtime/offload.hpp>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <levada/base/fatal.hpp>

#include "no_signals.hpp"

namespace levada::detail {

// Invariants, under the mutex:
// 1. If a job waits, no thread is idle that was not woken for it: `idle_` counts those that wait and were not
//    woken.
// 2. A job is in the list while `queued_`; whoever takes it out, a thread or its own task, has it.
// A job that ran posts itself to its task's loop as its thread's last act with it; so the frame that it lies
// in, which waits for that, is there until then.
class offload_pool {
public:
    static offload_pool& get() noexcept {
        static offload_pool* pool = new offload_pool; // never destroyed: its threads may outlive main
        return *pool;
    }

    void submit(pool_job& job) noexcept {
        std::unique_lock guard(mutex_);
        job.queued_ = true;
        jobs_.push_back(job);
        if (idle_ != 0) {
            --idle_;
            ++woken_;
            guard.unlock();
            wake_.notify_one();
            return;
        }
        if (threads_ >= limit_) return; // one of them takes it
        ++threads_;
        try {
            const no_signals during;
            std::thread([this] { run(); }).detach();
        } catch (const std::system_error& e) {
            if (--threads_ == 0)
                fatal(std::string("offload: not even one thread could be started (") + e.what() +
                      "): raise the limit of threads (ulimit -u), or the memory's");
        }
    }
    bool withdraw(pool_job& job) noexcept {
        std::lock_guard guard(mutex_);
        if (!job.queued_) return false;
        job.queued_ = false;
        jobs_.erase(job);
        return true;
    }

    std::size_t limit() noexcept {
        std::lock_guard guard(mutex_);
        return limit_;
    }
    void set_limit(std::size_t n) noexcept {
        std::lock_guard guard(mutex_);
        limit_ = n == 0 ? 1 : n;
    }
    std::size_t threads() noexcept {
        std::lock_guard guard(mutex_);
        return threads_;
    }

private:
    void run() noexcept {
        std::unique_lock guard(mutex_);
        for (;;) {
            while (pool_job* job = jobs_.pop_front()) {
                job->queued_ = false;
                guard.unlock();
                job->work_here();
                guard.lock();
                if (threads_ > limit_) break;
            }
            if (threads_ > limit_) break;
            ++idle_;
            const bool woken = wake_.wait_for(guard, std::chrono::seconds(2), [this] { return woken_ != 0; });
            if (woken) {
                --woken_;
            } else {
                --idle_;
                break;
            }
        }
        --threads_;
    }

    std::mutex mutex_; // guards all of it
    std::condition_variable wake_;
    intrusive_list<pool_job> jobs_;
    std::size_t threads_ = 0;
    std::size_t idle_ = 0;
    std::size_t woken_ = 0; // of those that waited, and have not run yet
    std::size_t limit_ = 64;
};

void offload_for_nobody(std::function<void()> f) {
    class job final : public pool_job {
    public:
        explicit job(std::function<void()> f) noexcept : f_(std::move(f)) {}
        void work_here() noexcept override {
            const std::unique_ptr<job> self(this);
            f_();
        }

    private:
        std::function<void()> f_;
    };
    offload_pool::get().submit(*std::make_unique<job>(std::move(f)).release());
}

bool offload_job::link() noexcept {
    if (!who->home()->kernel())
        fatal("offload was awaited on a loop that other threads cannot post to: it needs an event_loop");
    set_out();
    offload_pool::get().submit(*this);
    return false;
}

bool offload_job::withdraw() noexcept {
    if (is_back()) return true;
    if (offload_pool::get().withdraw(*this)) {
        never_left();
        return true;
    }
    scope_.cancel();
    return false;
}

void offload_job::work_here() noexcept {
    scope_.enter();
    call();
    scope_.leave();
    arrive();
}

} // namespace levada::detail

namespace levada {

std::size_t offload_limit() noexcept { return detail::offload_pool::get().limit(); }
void set_offload_limit(std::size_t threads) noexcept { detail::offload_pool::get().set_limit(threads); }
std::size_t offload_threads() noexcept { return detail::offload_pool::get().threads(); }

} // namespace levada
