#include "offload_pool.hpp"

#include <pthread.h>

#include <chrono>
#include <cstddef>
#include <new>

#include "forks.hpp"
#include "library_thread.hpp"

namespace levada::detail {
namespace {

constexpr std::size_t most_calls = 64;
constexpr std::size_t most_look_ups = 16; // each waits for the network, or for a file that others read too
constexpr auto idle_for = std::chrono::seconds(2);

} // namespace

// Neither is ever destroyed: their threads may outlive main. And none is allocated, since a look for a
// deadlock asks them when there may be no memory.
offload_pool& offload_pool::of_calls() noexcept {
    alignas(offload_pool) static std::byte place[sizeof(offload_pool)];
    static auto* const pool = ::new (static_cast<void*>(place)) offload_pool(most_calls);
    return *pool;
}
offload_pool& offload_pool::of_look_ups() noexcept {
    alignas(offload_pool) static std::byte place[sizeof(offload_pool)];
    static auto* const pool = ::new (static_cast<void*>(place)) offload_pool(most_look_ups);
    return *pool;
}

offload_pool::offload_pool(std::size_t limit) noexcept : limit_(limit) { count_forks(); }

std::error_code offload_pool::submit(pool_job& job) noexcept {
    std::unique_lock guard(mutex_);
    job.queued_ = true;
    jobs_.push_back(job);
    if (idle_ != 0) {
        --idle_;
        ++woken_;
        guard.unlock();
        wake_.notify_one();
        return {};
    }
    if (threads_ >= limit_) return {}; // one of them takes it
    const int error = start_thread();
    if (error != 0 && threads_ == 0) {
        job.queued_ = false;
        jobs_.erase(job);
        return {error, std::system_category()};
    }
    return {}; // one of those that are there takes it
}

int offload_pool::start_thread() noexcept {
    pthread_t made;
    const auto enter = [](void* self) -> void* {
        static_cast<offload_pool*>(self)->run();
        return nullptr;
    };
    const int error = detail::start_thread(made, enter, this);
    if (error != 0) return error;
    ::pthread_detach(made);
    ++threads_;
    ++starting_;
    return 0;
}

// Threads that are on their way take a job each.
void offload_pool::start_for_waiting(std::size_t most) noexcept {
    const std::size_t coming = woken_ + starting_;
    std::size_t n = 0;
    for (pool_job* job = jobs_.front(); job && n < coming + most && threads_ < limit_;
         job = intrusive_list<pool_job>::next(*job))
        if (++n > coming && start_thread() != 0) return; // whoever takes the next one tries again
}

bool offload_pool::withdraw(pool_job& job) noexcept {
    std::lock_guard guard(mutex_);
    if (!job.queued_) return false;
    job.queued_ = false;
    jobs_.erase(job);
    return true;
}

std::size_t offload_pool::limit() noexcept {
    std::lock_guard guard(mutex_);
    return limit_;
}
void offload_pool::set_limit(std::size_t n) noexcept {
    std::lock_guard guard(mutex_);
    limit_ = n == 0 ? 1 : n;
    start_for_waiting(limit_);
}
std::size_t offload_pool::threads() noexcept {
    std::lock_guard guard(mutex_);
    return threads_;
}

void offload_pool::run() noexcept {
    std::unique_lock guard(mutex_);
    --starting_;
    for (;;) {
        while (pool_job* job = jobs_.pop_front()) {
            job->queued_ = false;
            start_for_waiting(1); // if the system had no more threads before
            guard.unlock();
            job->work_here();
            guard.lock();
            if (threads_ > limit_) break;
        }
        if (threads_ > limit_) break;
        ++idle_;
        const bool woken = wake_.wait_for(guard, idle_for, [this] { return woken_ != 0; });
        if (woken) {
            --woken_;
        } else {
            --idle_;
            break;
        }
    }
    --threads_;
}

void offload_pool::hold_all() noexcept {
    of_calls().mutex_.lock();
    of_look_ups().mutex_.lock();
}

void offload_pool::let_go_of_all() noexcept {
    of_look_ups().mutex_.unlock();
    of_calls().mutex_.unlock();
}

std::size_t offload_pool::all_threads() noexcept { return of_calls().threads_ + of_look_ups().threads_; }

bool offload_pool::any_busy() noexcept {
    for (const offload_pool* pool : {&of_calls(), &of_look_ups()})
        if (pool->idle_ != pool->threads_ || !pool->jobs_.empty()) return true;
    return false;
}

void offload_pool::start_anew() noexcept {
    for (offload_pool* pool : {&of_calls(), &of_look_ups()}) {
        // Made anew and not destroyed: threads wait for it that are not here.
        ::new (&pool->wake_) std::condition_variable;
        ::new (&pool->jobs_) intrusive_list<pool_job>;
        pool->threads_ = pool->idle_ = pool->woken_ = pool->starting_ = 0;
    }
}

} // namespace levada::detail
