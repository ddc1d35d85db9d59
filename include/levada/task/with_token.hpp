#pragma once

#include <type_traits>
#include <utility>

#include <levada/cancel/token.hpp>
#include <levada/detail/cancel/done_op.hpp>
#include <levada/detail/task/bounded_op.hpp>
#include <levada/detail/task/gcc12.hpp>
#include <levada/detail/task/inner_op.hpp>
#include <levada/detail/task/started_value.hpp>
#include <levada/detail/task/token_call.hpp>

namespace levada {

/// As `with_timeout` under one more token: the code is the token's reason.
template <class F, class... A>
    requires(!detail::arm_operation<F>)
[[nodiscard]] auto with_token(const cancel_token& token, F&& f, A&&... args) {
    detail::refuse_destroyed_twice<F>();
    detail::check_startable<F, A...>();
    using T = detail::started_value<F, A...>;
    return detail::token_call<T, std::decay_t<F>, std::decay_t<A>...>(token, std::forward<F>(f),
                                                                      std::forward<A>(args)...);
}

/// Around one operation under a token: nothing is done once the token is cancelled.
template <detail::arm_operation Op>
    requires(!std::is_lvalue_reference_v<Op>)
[[nodiscard]] auto with_token(const cancel_token& token, Op&& op) {
    return detail::bounded_op<Op, detail::done_op>(std::move(op), token.done(), true);
}

} // namespace levada
