#pragma once

#include <type_traits>

namespace levada::detail {

struct unit {};
/// What is kept for a value of type `T`: itself, or for void an empty thing.
template <class T>
using stored = std::conditional_t<std::is_void_v<T>, unit, T>;

} // namespace levada::detail
