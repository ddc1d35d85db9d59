#pragma once

// What may be an arm of select.

#include <concepts>
#include <cstddef>
#include <type_traits>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/waiter.hpp>

namespace levada {

struct otherwise_t;

namespace detail {

template <class A>
inline constexpr bool is_otherwise = std::same_as<A, otherwise_t>;
/// An arm that stands for many: it lists them.
template <class A>
concept many_arms = requires(A& range, arm** at) {
    { range.arm_count() } -> std::convertible_to<std::size_t>;
    { range.list_arms(at) } -> std::same_as<arm**>;
};
/// False for kernel operations whose late completion nobody can keep.
template <class A>
inline constexpr bool selectable = true;
template <class A>
    requires requires { A::selectable; }
inline constexpr bool selectable<A> = A::selectable;
template <class A>
concept select_arm = is_otherwise<A> || many_arms<A> ||
                     (std::derived_from<A, arm> && std::derived_from<A, awaitable_tag> && selectable<A>);

template <class A>
consteval void check_arm() {
    static_assert(
        select_arm<std::remove_cvref_t<A>>,
        "this cannot be an arm of select: a kernel operation whose late completion nobody could keep, or "
        "a task. Start it with spawn and select on h.join()");
    static_assert(is_otherwise<std::remove_cvref_t<A>> || !std::is_lvalue_reference_v<A>,
                  "write the operation in the select itself, as in select(ch.recv(), after(1s))");
}

} // namespace detail
} // namespace levada
