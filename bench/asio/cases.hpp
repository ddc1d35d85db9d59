#pragma once

#include <span>

#include "common.hpp"

namespace rival {

std::span<const bench_case> channel_cases();
std::span<const bench_case> task_cases();

} // namespace rival
