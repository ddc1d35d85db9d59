#pragma once

#include <exception>
#include <system_error>
#include <type_traits>
#include <utility>

#include <levada/base/awaitable.hpp>
#include <levada/base/fatal.hpp>
#include <levada/base/result.hpp>
#include <levada/core/promise.hpp>

namespace levada {

template <class T>
class join_handle;

namespace detail {

/// A control block with room for the task's result.
template <class T>
class result_control : public control {
public:
    using control::control;
    using value_type = T;

    /// Once the task has ended: its value, what it threw, or why it was cancelled. Once only.
    flat_result<T> take_result() {
        if (has(task_flag::failed)) std::rethrow_exception(take_exception());
        if (has(task_flag::cancelled)) return fail(reason());
        if constexpr (std::is_void_v<T>) return {};
        else return take_value();
    }
    void drop_value() noexcept { slot_.reset(); }
    T take_value() noexcept(std::is_void_v<T> || std::is_nothrow_move_constructible_v<T>) {
        if constexpr (!std::is_void_v<T>) return static_cast<T&&>(slot_.get());
    }

protected:
    ~result_control() = default;
    [[no_unique_address]] value_slot<T> slot_;
};

void describe_join(std::string& out, const control& task);
void wakers_of_join(wake_sources& out, const control& task);

/// `co_await h.join()`, and the same as an arm.
template <class T>
class [[nodiscard]] join_op final : public awaitable_arm<join_op<T>> {
public:
    using outcome = flat_result<T>;
    explicit join_op(join_handle<T>& h) noexcept : handle_(&h), waiter_(node_kind::on_end, *this) {}
    join_op(join_op&& other) noexcept : handle_(other.handle_), waiter_(node_kind::on_end, *this) {}

    bool try_commit(work_list&) noexcept override { return task().state() == park_state::ended; }
    ~join_op() {
        if (joined_) joined_->unref();
    }
    bool link() noexcept override {
        control& t = task();
        if (t.link(waiter_)) return true;
        t.ref(); // the handle may be dropped while this waits
        joined_ = &t;
        linked_ = true;
        return false;
    }
    void unlink() noexcept override {
        if (std::exchange(linked_, false)) joined_->unlink(waiter_);
    }
    void describe(std::string& out) const override { describe_join(out, task()); }
    void wakers(wake_sources& out) const override { wakers_of_join(out, task()); }
    outcome take() {
        if (joined_ && !joined_->has_handle())
            fatal("a join_handle was dropped, or detached, while a task waits in its join(); of the task "
                  "started",
                  joined_->where());
        return handle_->finish();
    }

private:
    control& task() const noexcept { return joined_ ? *joined_ : handle_->block(); }
    join_handle<T>* handle_;
    control* joined_ = nullptr; // once linked
    bool linked_ = false;
    tree_waiter waiter_;
};

} // namespace detail

/// A task that was started by `spawn`, to be joined once. Move-only.
///
/// Dropped, it cancels the task and does not wait for it, so such a task must own what it uses. A task that
/// ended with an exception which nobody has joined terminates the program when its handle is dropped,
/// unless that happens while another exception or a cancel unwinds the dropping task.
template <class T = void>
class [[nodiscard("a dropped join_handle cancels its task: keep it, join it, or detach it")]] join_handle {
public:
    join_handle() noexcept = default;
    join_handle(join_handle&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
    join_handle& operator=(join_handle&& other) noexcept {
        if (this != &other) {
            drop(false);
            task_ = std::exchange(other.task_, nullptr);
        }
        return *this;
    }
    ~join_handle() { drop(false); }

    /// Waits until the task has ended and its frames and arguments are gone; gives its value.
    ///
    /// *Outcomes*: `result<T>` (for a task of `result<U>`, that `result<U>`); the reason if it was cancelled;
    /// throws what the task threw. *Cancel*: stops waiting; the task goes on. An arm of select.
    [[nodiscard]] detail::join_op<T> join() noexcept { return detail::join_op<T>(*this); }
    /// Cancels the task; says whether it was this call that did. *Threads*: any.
    bool cancel(std::error_code why = errc::cancelled) noexcept {
        detail::schedule_point();
        return block().cancel(why);
    }
    /// Leaves the task to itself: nobody joins it, and the one who started it does not wait for it. It stays
    /// below the tokens it was started under. An exception from it terminates.
    void detach() noexcept { drop(true); }
    /// Whether the task has ended. *Threads*: any.
    [[nodiscard]] bool done() const noexcept { return block().state() == detail::park_state::ended; }
    /// Whether there is a task to join.
    [[nodiscard]] explicit operator bool() const noexcept { return task_ != nullptr; }

    /// For the library.
    explicit join_handle(detail::result_control<T>& t) noexcept : task_(&t) {}
    [[nodiscard]] detail::result_control<T>& shared_block() const noexcept { return block(); }

private:
    friend class detail::join_op<T>;
    detail::result_control<T>& block() const noexcept {
        if (!task_)
            detail::fatal(
                "a join_handle was used that is empty: its task was joined, detached or moved away");
        return *task_;
    }
    void drop(bool detach) noexcept {
        if (!task_) return;
        if (done()) task_->drop_value(); // here, and not later, where its end is perhaps still going on
        std::exchange(task_, nullptr)->drop_handle(detach);
    }
    detail::flat_result<T> finish() {
        struct release {
            detail::control* t;
            ~release() { t->unref(); }
        } ended{&block()};
        auto& t = *std::exchange(task_, nullptr);
        (void)t.take_handle();
        return t.take_result();
    }
    detail::result_control<T>* task_ = nullptr;
};

} // namespace levada
