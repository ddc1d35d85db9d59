#pragma once

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

#include <levada/detail/engine/waiter.hpp>

namespace levada::detail {

/// What every operation of levada derives from, so that tasks know it for one.
struct awaitable_tag {};
template <class A>
concept operation_type = std::derived_from<std::remove_cvref_t<A>, awaitable_tag>;

template <class A>
concept has_member_await = requires(A&& a) { std::forward<A>(a).operator co_await(); };
template <class A>
concept has_free_await = requires(A&& a) { operator co_await(std::forward<A>(a)); };
template <class A>
concept awaiter_itself = requires(std::remove_reference_t<A>& a) {
    { a.await_ready() } -> std::convertible_to<bool>;
    a.await_resume();
};
template <class A>
concept foreign_awaitable = has_member_await<A> || has_free_await<A> || awaiter_itself<A>;

/// Makes an arm awaitable on its own. `D` has `take()`, which gives the outcome once the arm has committed.
template <class D, class Base = arm>
class awaitable_arm : public Base, public awaitable_tag {
public:
    using Base::Base;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<P> h) noexcept {
        return h.promise().await_arm(*this);
    }
    auto await_resume() {
        auto& self = static_cast<D&>(*this);
        self.unlink();
        return self.take();
    }

protected:
    ~awaitable_arm() = default;
};

} // namespace levada::detail
