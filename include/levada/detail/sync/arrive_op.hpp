#pragma once

#include <coroutine>
#include <cstddef>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/sync/gate.hpp>

namespace levada {

class latch;

namespace detail {

/// `co_await l.arrive_and_wait(k)`. No arm: what has arrived cannot be taken back by one that loses.
class [[nodiscard]] arrive_op final : public awaitable_tag {
public:
    using outcome = void;
    arrive_op(latch& l, gate& g, std::size_t k) noexcept : latch_(&l), count_(k), wait_(g) {}
    arrive_op(arrive_op&&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<P> h) noexcept {
        return arrive(h.promise().owner(), h.promise().frame());
    }
    void await_resume() const noexcept {}

private:
    [[nodiscard]] bool arrive(task_block& task, frame_handle leaf) noexcept;
    latch* latch_;
    std::size_t count_;
    gate_op wait_;
};

} // namespace detail
} // namespace levada
