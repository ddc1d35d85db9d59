#pragma once

#include <type_traits>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/promise.hpp>

namespace levada::detail {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
inline constexpr bool double_destroys = true;
#else
inline constexpr bool double_destroys = false;
#endif

/// g++ before 13 destroys a temporary closure twice when it stands in an awaited expression and has captures
/// that need destruction. So those who are awaited refuse it there.
template <class F>
consteval void refuse_destroyed_twice() {
    static_assert(
        !double_destroys || std::is_lvalue_reference_v<F> ||
            std::is_trivially_destructible_v<std::remove_cvref_t<F>>,
        "g++ before 13 destroys this temporary callable twice: give the lambda a name and move it in, "
        "or pass its captures as arguments");
}

template <class R>
consteval bool is_awaited_elsewhere() {
    using type = std::remove_cvref_t<R>;
    if constexpr (!std::is_class_v<type> || is_task<type>) return false;
    else return operation_type<R> || foreign_awaitable<R>;
}

/// What a callable returns to those who run it as a task: a task, or a value. An operation refers to its
/// arguments, which may be gone by then: `return ch.send(1)`.
template <class R>
consteval void check_returned() {
    static_assert(
        !is_awaited_elsewhere<R>(),
        "the callable returns an operation that nobody would await: await it where it is made, in a "
        "coroutine, as in [&]() -> task<> { co_await sleep_for(1s); }, or pass the operation itself to "
        "those who take one, as in with_timeout(1s, ch.recv())");
}
/// For functions that are called, and whose result nobody looks at.
template <class R>
consteval void check_dropped() {
    static_assert(!is_task<std::remove_cvref_t<R>> && !operation_type<R>,
                  "this function is called and not awaited, so it cannot return a task or an operation: "
                  "start a task in it, as in go(f, args...)");
}

} // namespace levada::detail
