#pragma once

// Coroutines of others: our tasks await their awaitables, and their coroutines await our operations and
// tasks.
//
// A task that awaits a foreign awaitable is parked on it as on an operation, of the kind that cannot be taken
// back. What it gives to `await_suspend` is the handle of a small coroutine of its own, which may be resumed
// on any thread, and posts the task to its loop. A task that is cancelled meanwhile waits for that, gets the
// value, and unwinds at its next operation; one that is cancelled before does not begin to wait. If the
// foreign side destroys the handle instead of resuming it, the await throws `std::system_error`
// (`operation_canceled`).
//
// A foreign coroutine awaits an operation, or a task, on a thread where an executor is current: in a function
// posted to a loop, or wherever a task or such a coroutine runs. A task of ours does the waiting, pinned to
// that loop, and resumes the coroutine there. Nothing unwinds in it. If the coroutine is destroyed meanwhile,
// on that thread, the task is cancelled: a channel operation withdraws; what the kernel has of the operation
// is taken back before the destructor returns, since its buffer may be about to go, and the outcome is
// dropped if it came all the same. That holds for the operation that is awaited, and for the one that an
// awaited task waits for, but not for what such a task has started (children, offload): those must not use
// the coroutine's frame. When the loop is shut down, the coroutine is not resumed: it is its owner's to
// destroy.

#include <coroutine>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

#include <levada/base/fatal.hpp>
#include <levada/core/outside_arm.hpp>
#include <levada/core/spawn.hpp>
#include <levada/core/wait.hpp>

namespace levada {
namespace detail {

/// As `co_await` finds it.
template <class A>
decltype(auto) awaiter_of(A&& a) {
    if constexpr (has_member_await<A>) return std::forward<A>(a).operator co_await();
    else if constexpr (has_free_await<A>) return operator co_await(std::forward<A>(a));
    else return static_cast<std::remove_reference_t<A>&>(a);
}

/// Where a task is parked that awaits a foreign awaitable.
class foreign_arm : public outside_arm {
public:
    void describe(std::string& out) const final { out += "an awaitable that is not levada's"; }

    /// The coroutine whose handle the awaitable gets. It goes when it has run, or with its handle.
    class proxy {
    public:
        struct promise_type {
            explicit promise_type(foreign_arm& a) noexcept : arm(&a) {}
            ~promise_type() {
                if (arm) arm->abandoned();
            }
            static void* operator new(std::size_t size) { return frame_pool::allocate(size); }
            static void operator delete(void* p, std::size_t size) noexcept {
                frame_pool::deallocate(p, size);
            }
            proxy get_return_object() noexcept {
                return proxy(std::coroutine_handle<promise_type>::from_promise(*this));
            }
            std::suspend_always initial_suspend() const noexcept { return {}; }
            std::suspend_never final_suspend() const noexcept { return {}; }
            void return_void() noexcept { std::exchange(arm, nullptr)->arrive(); }
            void unhandled_exception() const noexcept {}
            foreign_arm* arm;
        };
        std::coroutine_handle<promise_type> handle;

    private:
        explicit proxy(std::coroutine_handle<promise_type> h) noexcept : handle(h) {}
    };

protected:
    foreign_arm() = default;
    ~foreign_arm() = default;
    [[nodiscard]] static proxy make_proxy(foreign_arm& arm);
    /// Throws what was thrown on the way, if anything was.
    void check();
    /// Suspends the awaiter, by `suspend(handle)`. True if it does not want to be.
    template <class S>
    bool enter(const S& suspend) noexcept {
        set_out();
        std::coroutine_handle<proxy::promise_type> h;
        std::coroutine_handle<> next;
        try {
            h = make_proxy(*this).handle;
            using returned = decltype(suspend(h));
            if constexpr (std::is_void_v<returned>) {
                suspend(h);
                return false;
            } else if constexpr (std::is_same_v<returned, bool>) {
                if (suspend(h)) return false;
            } else {
                next = suspend(h);
            }
        } catch (...) {
            thrown_ = std::current_exception();
        }
        if (next && next.address() != h.address()) {
            next.resume(); // what it throws has nowhere to go
            return false;
        }
        if (h) {
            h.promise().arm = nullptr;
            h.destroy();
        }
        never_left();
        return true;
    }

private:
    void abandoned() noexcept {
        abandoned_ = true;
        arrive();
    }
    std::exception_ptr thrown_;
    bool abandoned_ = false;
};

/// `co_await` of a foreign awaitable in a task.
template <class A>
class foreign_awaiter final : public foreign_arm {
public:
    foreign_awaiter(control& task, A&& a) : task_(&task), awaiter_(awaiter_of(std::forward<A>(a))) {}
    foreign_awaiter(foreign_awaiter&&) = delete;

    [[nodiscard]] bool await_ready() { return !task_->is_cancelled() && awaiter_.await_ready(); }
    template <class P>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<P> h) noexcept {
        return h.promise().await_arm(*this);
    }
    decltype(auto) await_resume() {
        check();
        return awaiter_.await_resume();
    }
    [[nodiscard]] bool link() noexcept override {
        return enter([this](auto h) { return awaiter_.await_suspend(h); });
    }

private:
    control* task_;
    decltype(awaiter_of(std::declval<A>())) awaiter_;
};

template <foreign_thing A>
foreign_awaiter<A> promise_base::await_transform(A&& a, const void* at) const {
    static_assert(foreign_awaitable<A>, "this cannot be awaited: it is neither a task, nor an operation of "
                                        "levada, nor any other awaitable");
    static_assert(!std::is_same_v<std::remove_cvref_t<A>, std::suspend_always>,
                  "nobody would resume it: to let others run use co_await this_task::yield()");
    task_->awaits_at(await_site(at));
    return foreign_awaiter<A>(*task_, std::forward<A>(a));
}

/// What a foreign coroutine waits with.
class foreign_wait {
protected:
    /// Between the coroutine and the task that waits for it, both on one loop.
    struct line {
        foreign_wait* waits; // null once the coroutine has gone, or goes on
    };
    foreign_wait() = default;
    foreign_wait(foreign_wait&&) = delete;
    ~foreign_wait();
    /// The loop to wait on; terminates where there is none.
    [[nodiscard]] static executor& here() noexcept;
    [[nodiscard]] control& waiter() const noexcept { return handle_.shared_block(); }

    std::coroutine_handle<> coroutine_;
    std::shared_ptr<line> line_;
    join_handle<void> handle_;
    std::exception_ptr thrown_;
};

/// `co_await` of an operation, or a task, in a foreign coroutine.
template <class Op>
class foreign_wait_for final : private foreign_wait {
    static_assert(std::is_move_constructible_v<Op>,
                  "a foreign coroutine awaits single operations and tasks: put this into a task, and await "
                  "that");

    // The task's await, in a task.
    static task<> carry(Op op, std::shared_ptr<line> with) {
        foreign_wait_for* self = nullptr;
        try {
            if constexpr (std::is_void_v<value_type>) {
                co_await std::move(op);
                self = of(*with);
                if (self) self->value_.emplace();
            } else {
                value_type value = co_await std::move(op);
                self = of(*with);
                if (self) self->value_.emplace(static_cast<value_type&&>(value));
            }
        } catch (...) {
            self = of(*with);
            if (!self) throw;
            self->thrown_ = std::current_exception();
        }
        if (!self) co_return;
        with->waits = nullptr; // what follows is the coroutine's, not the wait's; *self may go meanwhile
        self->coroutine_.resume();
    }

    template <class T>
    static T value_of(const task<T>*);
    template <class T>
    static decltype(std::declval<T&>().await_resume()) value_of(const T*);
    using value_type = decltype(value_of(static_cast<Op*>(nullptr)));

public:
    explicit foreign_wait_for(Op&& op) noexcept : op_(&op) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) {
        executor& loop = here();
        coroutine_ = h;
        line_ = std::make_shared<line>(line{this});
        auto& made = make_control(loop, std::source_location(), joined_end(), &carry, std::move(*op_), line_);
        made.pin();
        handle_ = launch_with_handle(made, loop.local_root());
    }
    value_type await_resume() {
        if (thrown_) std::rethrow_exception(thrown_);
        if constexpr (!std::is_void_v<value_type>) return static_cast<value_type&&>(value_.get());
    }

private:
    static foreign_wait_for* of(const line& with) noexcept {
        return static_cast<foreign_wait_for*>(with.waits);
    }
    Op* op_;
    value_slot<value_type> value_;
};

template <class Op>
    requires(std::derived_from<Op, awaitable_tag>)
[[nodiscard]] foreign_wait_for<Op> operator co_await(Op && op) noexcept {
    return foreign_wait_for<Op>(std::move(op));
}

} // namespace detail

template <class T>
[[nodiscard]] detail::foreign_wait_for<task<T>> operator co_await(task<T>&& t) noexcept {
    return detail::foreign_wait_for<task<T>>(std::move(t));
}

} // namespace levada
