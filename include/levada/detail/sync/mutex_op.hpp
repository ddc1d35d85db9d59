#pragma once

#include <string>

#include <levada/detail/engine/wait_queue.hpp>
#include <levada/sync/mutex.hpp>

namespace levada {
namespace detail {

/// `co_await m.lock()`, and the same as an arm.
class [[nodiscard]] mutex_op final : public queue_awaitable<mutex_op> {
public:
    using outcome = mutex_guard;
    explicit mutex_op(mutex& m) noexcept : queue_awaitable(m.queue_), mutex_(&m) {}
    mutex_op(mutex_op&& other) noexcept : mutex_op(*other.mutex_) {}
    ~mutex_op() {
        // Committed, but nobody asked: the task unwound through an outer select, or the outcome was dropped.
        if (holds_) mutex_->unlock();
    }

    bool try_commit(work_list&) noexcept override { return holds_ = mutex_->take_now(); }
    void describe(std::string& out) const override;
    void wakers(wake_sources& out) const override;
    mutex_guard take() noexcept {
        holds_ = false;
        return mutex_guard(*mutex_);
    }

private:
    friend class levada::mutex;
    mutex* mutex_;
    bool holds_ = false; // written under the lock, before this is posted
};

} // namespace detail

inline detail::mutex_op mutex::lock() noexcept { return detail::mutex_op(*this); }

} // namespace levada
