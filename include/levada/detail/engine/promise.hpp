#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <source_location>
#include <type_traits>
#include <utility>

#include <levada/base/frame_pool.hpp>
#include <levada/base/result.hpp>
#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/engine/task_block.hpp>

namespace levada {

template <class T = void>
class task;

namespace detail {

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

template <class T>
class task_awaiter;

// See detail/task/foreign_await.hpp.
template <class A>
class foreign_awaiter;
/// What is neither a task, nor an operation or a result of levada.
template <class A>
concept foreign_thing = !std::is_base_of_v<awaitable_tag, std::remove_cvref_t<A>> &&
                        !is_task<std::remove_cvref_t<A>> && !is_result<std::remove_cvref_t<A>>;

/// `co_await` of a result: the result.
template <class T>
class ready_result {
public:
    explicit ready_result(result<T>&& r) : result_(std::move(r)) {}
    [[nodiscard]] bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    result<T> await_resume() { return std::move(result_); }

private:
    result<T> result_;
};

#if defined(__clang__)
/// Operations are awaited where they stand.
template <class Op>
using operation_awaiter = Op&;
#else
/// Awaits an operation where it stands: a reference to it would do, but g++ 12 copies what that refers to.
template <class Op>
class operation_awaiter {
public:
    explicit operation_awaiter(Op& op) noexcept : op_(op) {}
    [[nodiscard]] bool await_ready() { return op_.await_ready(); }
    template <class P>
    [[nodiscard, gnu::always_inline]] bool await_suspend(std::coroutine_handle<P> h) {
        return op_.await_suspend(h);
    }
    decltype(auto) await_resume() { return op_.await_resume(); }

private:
    Op& op_;
};
#endif

/// The part of a task's promise that does not depend on its type.
class promise_base {
public:
    promise_base() noexcept = default;
    promise_base(const promise_base&) = delete;
    promise_base& operator=(const promise_base&) = delete;

    static void* operator new(std::size_t size) { return frame_pool::allocate(size); }
    static void operator delete(void* p, std::size_t size) noexcept { frame_pool::deallocate(p, size); }

    std::suspend_always initial_suspend() const noexcept { return {}; }

    struct final_awaiter {
        bool await_ready() const noexcept { return false; }
        template <class P>
        void await_suspend(std::coroutine_handle<P> h) const noexcept {
            static_cast<promise_base&>(h.promise()).finished();
        }
        void await_resume() const noexcept {}
    };
    final_awaiter final_suspend() const noexcept { return {}; }

    void unhandled_exception() noexcept {
        awaiting_ |= failed_bit;
        task_->set_exception(std::current_exception());
    }

    template <class Op>
        requires std::is_base_of_v<awaitable_tag, std::remove_cvref_t<Op>>
    operation_awaiter<std::remove_reference_t<Op>> await_transform(
        Op&& op, const void* at = LEVADA_INTERNAL_HERE) const noexcept {
        task_->awaits_at(await_site(at));
        schedule_point();
        static_assert(!std::is_lvalue_reference_v<Op>,
                      "await an operation in the expression that made it, as in co_await ch.recv()");
        return operation_awaiter<std::remove_reference_t<Op>>(op);
    }
    template <class T>
    task_awaiter<T> await_transform(task<T>&& t, const void* at = LEVADA_INTERNAL_HERE) const noexcept;
    template <class T>
    task_awaiter<T> await_transform(task<T>& t, const void* at = LEVADA_INTERNAL_HERE) const noexcept;

    /// What needed no waiting has given its result already; it may be awaited all the same.
    template <class T>
    ready_result<T> await_transform(result<T>&& r) const
        noexcept(std::is_nothrow_move_constructible_v<result<T>>) {
        return ready_result<T>(std::move(r));
    }

    /// Anybody else's awaitable.
    template <foreign_thing A>
    foreign_awaiter<A> await_transform(A&& a, const void* at = LEVADA_INTERNAL_HERE) const;

    [[nodiscard]] task_block& owner() const noexcept { return *task_; }
    [[nodiscard]] frame_handle frame() noexcept { return frame_handle::from_promise(*this); }
    /// The frame that awaits this one; null at the root.
    [[nodiscard]] promise_base* awaiting() const noexcept {
        const await_link* const l = link();
        return l ? l->frame : nullptr;
    }
    [[nodiscard]] const await_link* link() const noexcept {
        return reinterpret_cast<const await_link*>(awaiting_ & ~bits);
    }
    [[nodiscard]] bool failed() const noexcept { return (awaiting_ & failed_bit) != 0; }

    /// Makes this the frame that the one of `awaiting` waits for; `body` if it is a region's, or the root.
    void attach(task_block& task, const await_link* awaiting, bool body) noexcept {
        task_ = &task;
        awaiting_ = reinterpret_cast<std::uintptr_t>(awaiting) | (body ? body_bit : 0);
    }
    /// Lets the task go on in this frame, once the frame that it runs now has suspended.
    void resume_next() noexcept {
        task_run& r = task_->this_run();
        r.what = step::resume;
        r.next = frame();
    }

    /// Awaits an arm on its own; see awaitable_arm.
    [[nodiscard]] bool await_arm(arm& a) noexcept;

private:
    friend struct layout;
    static constexpr std::uintptr_t body_bit = 1;
    static constexpr std::uintptr_t failed_bit = 2;
    static constexpr std::uintptr_t bits = body_bit | failed_bit;

    void finished() noexcept {
        if (!(awaiting_ & body_bit)) {
            awaiting()->resume_next();
        } else {
            task_run& r = task_->this_run();
            r.what = step::leave;
            r.next = frame();
        }
    }

    task_block* task_ = nullptr;
    std::uintptr_t awaiting_ = 0;
};
static_assert(alignof(await_link) >= 4);

/// Where a value waits in a promise or a task block. Types of extended alignment are boxed, so that every
/// promise lies at the same distance from its frame.
template <class T>
class value_slot {
    static constexpr bool boxed = alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__;

public:
    value_slot() noexcept {}
    ~value_slot() { reset(); }
    void reset() noexcept {
        if (!std::exchange(full_, false)) return;
        get().~T();
        if constexpr (boxed) ::operator delete(box_, std::align_val_t(alignof(T)));
    }
    value_slot(const value_slot&) = delete;
    value_slot& operator=(const value_slot&) = delete;

    template <class... A>
    void emplace(A&&... args) {
        if constexpr (boxed) {
            std::unique_ptr<void, free_box> memory(::operator new(sizeof(T), std::align_val_t(alignof(T))));
            ::new (memory.get()) T(std::forward<A>(args)...);
            box_ = memory.release();
        } else {
            ::new (static_cast<void*>(bytes_)) T(std::forward<A>(args)...);
        }
        full_ = true;
    }
    [[nodiscard]] bool full() const noexcept { return full_; }
    [[nodiscard]] T& get() noexcept {
        if constexpr (boxed) return *static_cast<T*>(box_);
        else return *std::launder(reinterpret_cast<T*>(bytes_));
    }

private:
    struct free_box {
        void operator()(void* p) const noexcept { ::operator delete(p, std::align_val_t(alignof(T))); }
    };
    union {
        void* box_;
        alignas(boxed ? alignof(void*) : alignof(T)) std::byte bytes_[boxed ? sizeof(void*) : sizeof(T)];
    };
    bool full_ = false;
};

/// References are kept as pointers.
template <class T>
class value_slot<T&> {
public:
    void emplace(T& value) noexcept { value_ = std::addressof(value); }
    void reset() noexcept {}
    [[nodiscard]] bool full() const noexcept { return value_ != nullptr; }
    [[nodiscard]] T& get() const noexcept { return *value_; }

private:
    T* value_ = nullptr;
};
template <>
class value_slot<void> {
public:
    void emplace() noexcept {}
    void reset() noexcept {}
};

template <class T>
class promise final : public promise_base {
public:
    levada::task<T> get_return_object() noexcept;

    template <class U = T>
        requires std::constructible_from<T, U&&>
    void return_value(U&& value) {
        slot_.emplace(std::forward<U>(value));
    }
    /// Takes the value, or throws what the body threw.
    T take() {
        if (failed()) std::rethrow_exception(owner().take_exception());
        return static_cast<T&&>(slot_.get());
    }

private:
    value_slot<T> slot_;
};

template <>
class promise<void> final : public promise_base {
public:
    levada::task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
    void take() {
        if (failed()) std::rethrow_exception(owner().take_exception());
    }
};

} // namespace detail
} // namespace levada
