#pragma once

#include <span>

#include "common.hpp"

namespace rival {

/// A case with a `run<bool Several>(int n)`.
template <class C>
constexpr bench_case make(const char* name, int size) {
    return {name, size, C::template run<false>, C::template run<true>};
}

std::span<const bench_case> channel_cases();
std::span<const bench_case> task_cases();

} // namespace rival
