#pragma once

#ifndef LEVADA_DIAGNOSIS
#define LEVADA_DIAGNOSIS 1
#endif

namespace levada::detail {

/// Whether tasks note where they await, since when, and what traces are told. Off (meson's option
/// `diagnosis`), dumps say what tasks wait for, but not where and how long, and traces are empty. The library
/// and all that uses it have to agree.
inline constexpr bool diagnosis = LEVADA_DIAGNOSIS != 0;

} // namespace levada::detail
