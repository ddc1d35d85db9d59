#pragma once

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <levada/detail/channel/select_arms.hpp>

namespace levada::detail {

template <class T>
using or_monostate = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// An outcome, or what getting it threw.
template <class T>
class settled {
public:
    template <class F>
    explicit settled(F&& take) noexcept {
        try {
            if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
                take();
                value_.emplace();
            } else {
                value_.emplace(take());
            }
        } catch (...) {
            thrown_ = std::current_exception();
        }
    }
    T& get() {
        if (thrown_) std::rethrow_exception(thrown_);
        return *value_;
    }

private:
    std::optional<T> value_;
    std::exception_ptr thrown_;
};

/// The same for outcomes that never throw.
template <class T>
class plainly {
public:
    template <class F>
    explicit plainly(F&& take) noexcept : value_(from(take)) {}
    T& get() noexcept { return value_; }

private:
    template <class F>
    static T from(F& take) noexcept {
        if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
            take();
            return {};
        } else {
            return take();
        }
    }
    T value_;
};

/// An arm's outcome as select keeps it.
template <class A>
struct kept_outcome {
    using value = or_monostate<typename A::outcome>;
    using type = std::conditional_t<noexcept(std::declval<A&>().take()), plainly<value>, settled<value>>;
};
template <class A>
    requires is_otherwise<A>
struct kept_outcome<A> {
    using type = plainly<std::monostate>;
};
template <many_arms A>
struct kept_outcome<A> {
    using type = settled<typename A::outcome>;
};

} // namespace levada::detail
