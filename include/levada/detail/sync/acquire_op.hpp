#pragma once

#include <cstddef>
#include <string>

#include <levada/detail/engine/wait_queue.hpp>
#include <levada/sync/semaphore.hpp>

namespace levada {
namespace detail {

/// `co_await s.acquire(k)`, and the same as an arm.
class [[nodiscard]] acquire_op final : public queue_awaitable<acquire_op> {
public:
    using outcome = semaphore_permit;
    acquire_op(semaphore& s, std::size_t k) noexcept : queue_awaitable(s.queue_), from_(&s), wanted_(k) {}
    acquire_op(acquire_op&& other) noexcept : acquire_op(*other.from_, other.wanted_) {}
    ~acquire_op() {
        // Committed, but nobody asked: the task unwound through an outer select, or the outcome was dropped.
        if (holds_) (void)take();
    }

    bool try_commit(work_list&) noexcept override { return holds_ = from_->take_now(wanted_); }
    void unlink() noexcept override;
    void describe(std::string& out) const override {
        out += "semaphore::acquire(" + std::to_string(wanted_) + ")";
    }
    semaphore_permit take() noexcept {
        holds_ = false;
        return semaphore_permit(*from_, wanted_);
    }

private:
    friend class levada::semaphore;
    semaphore* from_;
    std::size_t wanted_;
    bool holds_ = false; // written under the lock, before this is posted
};

} // namespace detail

inline detail::acquire_op semaphore::acquire(std::size_t k) noexcept { return detail::acquire_op(*this, k); }

} // namespace levada
