#pragma once

#include <type_traits>

namespace levada::detail {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
inline constexpr bool double_destroys = true;
#else
inline constexpr bool double_destroys = false;
#endif

/// g++ before 13 destroys a temporary closure twice when it stands in an awaited expression and has captures
/// that need destruction. So those who are awaited refuse it there.
template <class F>
consteval void check_natural() {
    static_assert(
        !double_destroys || std::is_lvalue_reference_v<F> ||
            std::is_trivially_destructible_v<std::remove_cvref_t<F>>,
        "g++ before 13 destroys this temporary callable twice: give the lambda a name and move it in, "
        "or pass its captures as arguments");
}

} // namespace levada::detail
