#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include <levada/base/frame_pool.hpp>
#include <levada/detail/engine/await_site.hpp>
#include <levada/detail/engine/external_arm.hpp>
#include <levada/detail/engine/promise.hpp>
#include <levada/detail/engine/task_block.hpp>

namespace levada::detail {

/// As `co_await` finds it.
template <class A>
decltype(auto) awaiter_of(A&& a) {
    if constexpr (has_member_await<A>) return std::forward<A>(a).operator co_await();
    else if constexpr (has_free_await<A>) return operator co_await(std::forward<A>(a));
    else return static_cast<std::remove_reference_t<A>&>(a);
}

/// Where a task is parked that awaits a foreign awaitable.
class foreign_arm : public external_arm {
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
    foreign_awaiter(task_block& task, A&& a) : task_(&task), awaiter_(awaiter_of(std::forward<A>(a))) {}
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
    task_block* task_;
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

} // namespace levada::detail
