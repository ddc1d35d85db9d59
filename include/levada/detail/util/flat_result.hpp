#pragma once

namespace levada {

template <class T>
class result;

namespace detail {

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<result<T>> = true;

template <class T>
struct flat {
    using type = result<T>;
};
template <class T>
struct flat<result<T>> {
    using type = result<T>;
};

/// `result<T>`, and `result<U>` where `T` already is one: boundaries and joins do not nest.
template <class T>
using flat_result = typename flat<T>::type;

} // namespace detail
} // namespace levada
