#pragma once

#include <system_error>
#include <utility>

#include <levada/base/errc.hpp>
#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/task/join_op.hpp>
#include <levada/detail/task/result_block.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada {

namespace detail {
struct handle_access;
}

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

private:
    friend class detail::join_op<T>;
    friend struct detail::handle_access;
    explicit join_handle(detail::result_block<T>& t) noexcept : task_(&t) {}
    detail::result_block<T>& block() const noexcept {
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
            detail::task_block* t;
            ~release() { t->unref(); }
        } ended{&block()};
        auto& t = *std::exchange(task_, nullptr);
        (void)t.take_handle();
        return t.take_result();
    }
    detail::result_block<T>* task_ = nullptr;
};

} // namespace levada
