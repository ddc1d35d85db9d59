#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <source_location>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <levada/base/awaitable.hpp>
#include <levada/core/natural.hpp>
#include <levada/core/outside_arm.hpp>
#include <levada/core/promise.hpp>
#include <levada/core/spawn.hpp>
#include <levada/sync/blocking.hpp>

namespace levada {

namespace detail {

/// Something to do on a thread of the pool.
class pool_job : public list_hook {
public:
    virtual void work_here() noexcept = 0;

protected:
    pool_job() = default;
    ~pool_job() = default;

private:
    friend class offload_pool;
    bool queued_ = false; // guarded by the pool's mutex
};

/// The job of a task. It lies in the task's frame.
///
/// Its states: queued, in the pool's list; running, on one of its threads; done. The pool's mutex guards the
/// change from queued; a job that runs is the thread's until it arrives back at the task's loop.
class offload_job : public outside_arm, private pool_job {
public:
    [[nodiscard]] bool link() noexcept final;
    [[nodiscard]] bool withdraw() noexcept final;
    void describe(std::string& out) const final { out += "offload"; }

    static constexpr bool may_lose = false;
    void keep_late() noexcept {}

protected:
    offload_job() = default;
    offload_job(offload_job&&) noexcept {} // before it is linked
    ~offload_job() = default;
    virtual void call() noexcept = 0;
    /// Throws if there was no thread that could call it.
    void check_called() const;

private:
    void work_here() noexcept final;
    int no_thread_ = 0; // why not
    blocking_scope scope_;
};

template <class T, class F, class... A>
class [[nodiscard]] offload_op final : public offload_job, public awaitable_tag {
public:
    using outcome = T;
    template <class G, class... B>
    explicit offload_op(std::in_place_t, G&& f, B&&... args)
        : call_(std::forward<G>(f), std::forward<B>(args)...) {}
    offload_op(offload_op&& other) : offload_job(std::move(other)), call_(std::move(other.call_)) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<P> h) noexcept {
        return h.promise().await_arm(*this);
    }
    T await_resume() { return take(); }
    T take() {
        check_called();
        if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
        if constexpr (!std::is_void_v<T>) return static_cast<T&&>(value_.get());
    }

private:
    void call() noexcept override {
        try {
            const auto invoke = [](auto&... parts) -> T { return std::invoke(std::move(parts)...); };
            if constexpr (std::is_void_v<T>) std::apply(invoke, call_);
            else value_.emplace(std::apply(invoke, call_));
        } catch (...) {
            thrown_ = std::current_exception();
        }
    }
    std::tuple<F, A...> call_;
    std::exception_ptr thrown_;
    [[no_unique_address]] value_slot<T> value_;
};

} // namespace detail

/// `co_await offload(f, args...)` calls `f(args...)`, a plain callable, on a thread of a pool, and gives its
/// value or throws what it threw: for what blocks or computes for long. `f` and the arguments are
/// decay-copied, and are moved into the call. Throws `std::system_error`
/// (`std::errc::resource_unavailable_try_again`) when the pool has no thread and none can be started; then
/// `f` was not called.
///
/// *Suspends* always. *Resumes* on the loop that it left. *Cancel*: a call that has not begun is withdrawn.
/// One that runs cannot be stopped: it is waited for, and then it returns, completed, and the next operation
/// unwinds; but blocking forms of the library inside of it (`recv_blocking` and its like, those that give a
/// result) end with `errc::cancelled`. Under `with_timeout` likewise. Not an arm of select: `spawn` it and
/// select on `join()`.
///
/// The pool belongs to the process. It grows while calls wait and none of its threads is idle, up to
/// `offload_limit()`, and a thread that was idle for two seconds ends. Idle threads do not hide that all
/// tasks are asleep. In the child of a fork the pool starts anew.
template <class F, class... A>
[[nodiscard]] auto offload(F&& f, A&&... args) {
    detail::check_natural<F>();
    detail::check_startable<F, A...>();
    using T = std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>;
    static_assert(!detail::is_task<std::remove_cvref_t<T>>,
                  "offload calls plain functions: await the task, or use spawn");
    return detail::offload_op<T, std::decay_t<F>, std::decay_t<A>...>(std::in_place, std::forward<F>(f),
                                                                      std::forward<A>(args)...);
}

/// How many threads the pool may have: 64, unless it was set. More than are running is no error: they end as
/// they get idle. At least 1. *Threads*: any.
[[nodiscard]] std::size_t offload_limit() noexcept;
void set_offload_limit(std::size_t threads) noexcept;
/// The threads that it has now.
[[nodiscard]] std::size_t offload_threads() noexcept;

} // namespace levada
