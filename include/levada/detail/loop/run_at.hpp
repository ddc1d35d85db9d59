#pragma once

#include <source_location>
#include <utility>

#include <levada/loop/runtime.hpp>

namespace levada::detail {

/// `run(f, args...)`, with the place that asked for it.
template <class F, class... A>
int run_at(const std::source_location& where, F&& f, A&&... args) {
    runtime here;
    return here.run_at(where, std::forward<F>(f), std::forward<A>(args)...);
}

} // namespace levada::detail
