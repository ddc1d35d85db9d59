#pragma once

#include <type_traits>
#include <utility>

#include <levada/detail/task/gcc12.hpp>
#include <levada/detail/task/shield_call.hpp>
#include <levada/detail/task/started_value.hpp>

namespace levada {

/// `co_await shield(f, args...)` runs `f(args...)` without being cancelled from outside, and gives its value:
/// for what has to be finished on the way out. The next operation after it unwinds.
template <class F, class... A>
[[nodiscard]] auto shield(F&& f, A&&... args) {
    detail::refuse_destroyed_twice<F>();
    detail::check_startable<F, A...>();
    using T = detail::started_value<F, A...>;
    return detail::shield_call<T, std::decay_t<F>, std::decay_t<A>...>(std::in_place, std::forward<F>(f),
                                                                       std::forward<A>(args)...);
}

} // namespace levada
