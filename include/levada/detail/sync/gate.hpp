#pragma once

#include <string>

#include <levada/detail/engine/wait_queue.hpp>

namespace levada::detail {

/// What is open or shut, and waited for to be open: the part that event and latch share.
class gate {
public:
    gate(bool open, const char* waiting) noexcept : open_(open), waiting_(waiting) {}
    gate(const gate&) = delete;
    gate& operator=(const gate&) = delete;

    [[nodiscard]] lock& guarded_by() const noexcept { return queue_.guarded_by; }
    // With the lock held:
    [[nodiscard]] bool is_open() const noexcept { return open_; }
    [[nodiscard]] bool is_waited_for() const noexcept { return queue_.is_waited_for(); }
    void shut() noexcept { open_ = false; }
    /// Claims all who wait.
    void open(work_list& ready) noexcept {
        open_ = true;
        while (queue_.claim_first(ready)) {
        }
    }

private:
    friend class gate_op;
    mutable wait_queue queue_;
    bool open_;
    const char* waiting_; // what to call an arm that waits
};

/// `co_await event.wait()` and `co_await latch.wait()`, and the same as arms.
class [[nodiscard]] gate_op final : public queue_awaitable<gate_op> {
public:
    using outcome = void;
    explicit gate_op(gate& g) noexcept : queue_awaitable(g.queue_), gate_(&g) {}
    gate_op(gate_op&& other) noexcept : gate_op(*other.gate_) {}

    bool try_commit(work_list&) noexcept override { return gate_->open_; }
    void describe(std::string& out) const override { out += gate_->waiting_; }
    void take() noexcept {}

private:
    gate* gate_;
};

} // namespace levada::detail
