#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/task/task_access.hpp>
#include <levada/detail/task/task_frame.hpp>
#include <levada/task/task.hpp>

namespace levada::detail {

/// A region around a body that gives a `T`: a coroutine, or a plain callable, which runs at once.
template <class T>
class body_region : public region_frame, public awaitable_tag {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }

protected:
    body_region() = default;
    ~body_region() {
        if (done_ && frame_) frame_.destroy(); // unwound with its value, which nobody took
    }

    /// Calls the body and lets the task go on in it. After `enter`.
    template <class Call>
    bool start(task_block& task, Call&& call) noexcept {
        using returned = std::invoke_result_t<Call>;
        try {
            if constexpr (is_task<std::remove_cvref_t<returned>>) {
                frame_ = task_access::release(call());
                frame_.promise().attach(task, &link(), true);
                frame_.promise().resume_next();
                return true;
            } else if constexpr (std::is_void_v<returned>) {
                call();
            } else {
                plain_.emplace(call());
            }
        } catch (...) {
            exception_ = std::current_exception();
        }
        task_run& run = task.this_run();
        run.what = step::leave;
        run.next = nullptr;
        return true;
    }

    [[nodiscard]] bool threw() const noexcept { return exception_ != nullptr; }
    [[noreturn]] void rethrow() { std::rethrow_exception(std::move(exception_)); }
    [[nodiscard]] bool unwound() const noexcept { return unwound_; }
    [[nodiscard]] std::error_code reason() const noexcept { return reason_; }
    /// The value, once, where there was neither exception nor unwinding.
    T take() {
        if (frame_) return frame_owner<T>(std::exchange(frame_, nullptr)).take();
        if constexpr (!std::is_void_v<T>) return static_cast<T&&>(plain_.get());
    }

    /// The body has ended. True when there is nothing more to wait for; else this is called again once the
    /// region has no live tasks.
    [[nodiscard]] virtual bool body_done(task_block&, bool) noexcept { return true; }

private:
    bool body_ended(task_block& task, bool by_unwinding) noexcept final {
        if (by_unwinding) {
            frame_ = nullptr; // destroyed with the others
            unwound_ = true;
            reason_ = node().reason();
        } else if (!std::exchange(done_, true) && frame_ && frame_.promise().failed()) {
            exception_ = task.take_exception();
            std::exchange(frame_, nullptr).destroy();
        }
        // Set first: the last task of the region may let this one run elsewhere before we are back.
        task.set(task_flag::idle_wait);
        if (!body_done(task, by_unwinding)) return false;
        task.clear(task_flag::idle_wait);
        return true;
    }

    std::coroutine_handle<promise<T>> frame_;
    std::exception_ptr exception_;
    std::error_code reason_;
    bool unwound_ = false;
    bool done_ = false; // the body has ended by itself, and its frame is ours
    [[no_unique_address]] value_slot<T> plain_;
};

/// A region around a call, which keeps the callable and its arguments in the awaiting frame.
template <class T, class F, class... A>
class call_region : public body_region<T> {
protected:
    template <class G, class... B>
    explicit call_region(std::in_place_t, G&& f, B&&... args)
        : call_(std::forward<G>(f), std::forward<B>(args)...) {}
    ~call_region() = default;

    bool start_call(task_block& task) noexcept {
        return start_call(task, [] {});
    }
    /// The same after `prepare()`: an exception from that is the call's.
    template <class P>
    bool start_call(task_block& task, const P& prepare) noexcept {
        return this->start(task, [this, &prepare]() -> decltype(auto) {
            prepare();
            return std::apply(
                [](auto&... parts) -> decltype(auto) { return std::invoke(std::move(parts)...); }, call_);
        });
    }
    /// What the region reports: the value, or why the body was unwound.
    flat_result<T> report() {
        if (this->threw()) this->rethrow();
        if (this->unwound()) return fail(this->reason());
        if constexpr (std::is_void_v<T>) {
            this->take();
            return {};
        } else {
            return this->take();
        }
    }

private:
    std::tuple<F, A...> call_;
};

} // namespace levada::detail
