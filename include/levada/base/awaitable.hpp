#pragma once

#include <coroutine>

#include <levada/base/park.hpp>

namespace levada::detail {

/// What every operation of levada derives from, so that tasks know it for one.
struct awaitable_tag {};

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
