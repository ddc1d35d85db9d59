#pragma once

// Operations that the kernel carries out.
//
// Invariants:
// 1. From `link()` until `retired()` the kernel may have the operation: it, its buffer and its frame stay.
//    A task is resumed, and a frame destroyed, only when no operation of its park is in flight.
// 2. The user_data of an operation is its address; that of its cancel is the address + 1. The address is not
//    used again before both completions are in.
// 3. What the kernel did finish is reported as done, or kept for the next operation by `lost()`.
// Everything here happens on the loop's thread.

#include <cstdint>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/task_block.hpp>

struct io_uring_sqe;

namespace levada::detail {

class ring;

/// What stands in a ring.
class ring_entry : public list_hook {
public:
    /// Fills a submission.
    virtual void prepare(io_uring_sqe& sqe) noexcept = 0;
    /// A completion of this entry, with its flags, or that of its cancel.
    virtual void completed(int result, unsigned flags, bool of_cancel) noexcept = 0;

protected:
    ring_entry() = default;
    ~ring_entry() = default;

    friend class ring;
    std::uint8_t pending_ = 0; // completions that are due
    bool cancelling_ = false;
    bool waits_ = false;      // on the ring's list for room in its queue
    bool background_ = false; // not work to come, for the report that all tasks are asleep
};

class kernel_op : public arm, public ring_entry {
public:
    [[nodiscard]] bool try_commit(work_list&) noexcept override { return false; }
    [[nodiscard]] bool link() noexcept final;
    void unlink() noexcept final {} // kernel operations retire instead
    [[nodiscard]] bool withdraw() noexcept final;
    void take_back_now() noexcept final;
    void completed(int result, unsigned flags, bool of_cancel) noexcept final;

    /// Whether it may be an arm of select: whether somebody can keep what comes too late.
    static constexpr bool selectable = false;
    /// A completion that comes after a limit has won is kept here, for `take()`, and not given to `lost()`.
    void keep_late() noexcept { keeps_late_ = true; }
    [[nodiscard]] bool finished_after_limit() const noexcept { return late_; }

protected:
    kernel_op() = default;
    kernel_op(kernel_op&&) noexcept {} // before it is linked
    ~kernel_op() = default;

    /// The kernel's answer: a count, a descriptor, or a negated errno.
    [[nodiscard]] int answer() const noexcept { return answer_; }
    /// Looks at an answer. True when the operation is not complete yet: unless it is being cancelled, it is
    /// submitted again.
    [[nodiscard]] virtual bool again(int) noexcept { return false; }
    /// The kernel finished it, but another arm came first: keep what it gave.
    virtual void lost(int) noexcept {}
    /// A cancel came first.
    virtual void withdrawn() noexcept {}
    void set_background() noexcept { background_ = true; }

private:
    void retired() noexcept;
    void late(int answer) noexcept;

    ring* ring_ = nullptr;
    int answer_ = 0;
    bool done_ = false;     // the operation's own completion is in
    bool answered_ = false; // its answer is, with more to come
    bool keeps_late_ = false;
    bool late_ = false;
};

/// Makes a kernel operation awaitable. `D` has `take()`.
template <class D, class Base = kernel_op>
class kernel_awaitable : public Base, public awaitable_tag {
public:
    using Base::Base;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<P> h) noexcept {
        return h.promise().await_arm(*this);
    }
    auto await_resume() { return static_cast<D&>(*this).take(); }

protected:
    kernel_awaitable() = default;
    kernel_awaitable(kernel_awaitable&&) noexcept = default;
    ~kernel_awaitable() = default;
};

} // namespace levada::detail
