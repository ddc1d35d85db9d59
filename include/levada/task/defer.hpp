#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <levada/detail/task/gcc12.hpp>

namespace levada {

/// `defer d(f);` runs the plain callable `f` when the scope is left, in whatever way: return, exception, or a
/// cancel that unwinds the task. It cannot await; an exception from it terminates. Not moved, not copied.
template <std::invocable F>
class [[nodiscard]] defer {
public:
    explicit defer(F f) : f_(std::move(f)) { detail::check_dropped<std::invoke_result_t<F>>(); }
    ~defer() noexcept { static_cast<void>(f_()); }
    defer(const defer&) = delete;
    defer& operator=(const defer&) = delete;

private:
    F f_;
};

template <class F>
defer(F) -> defer<F>;

} // namespace levada
