#pragma once

#include <type_traits>
#include <utility>

#include <levada/detail/task/gcc12.hpp>
#include <levada/detail/task/started_value.hpp>
#include <levada/detail/task/value_call.hpp>

namespace levada {

/// A value that goes with a task and with all that it starts: a request's name, a user, a log. Go's
/// context.WithValue, with a type.
///
///     inline constexpr task_local<std::string> request;
///     co_await request.with("GET /", serve, std::ref(stream));   // serve, and its children, see it
///     if (const std::string* r = request.get()) log(*r);
///
/// The object is the key, so it is a constant that lives as long as the program.
template <class T>
class task_local {
public:
    constexpr task_local() noexcept = default;
    task_local(const task_local&) = delete;
    task_local& operator=(const task_local&) = delete;

    /// `co_await key.with(value, f, args...)` calls `f(args...)` with the value, which hides one that is
    /// there already, and gives what it gives. What is started inside by `spawn`, a group or a wait_group
    /// inherits it, and keeps it beyond the call; what is started by `go` does not. A cancel unwinds through.
    template <class F, class... A>
    [[nodiscard]] auto with(T value, F&& f, A&&... args) const {
        detail::refuse_destroyed_twice<F>();
        detail::check_startable<F, A...>();
        using R = detail::started_value<F, A...>;
        return detail::value_call<T, R, std::decay_t<F>, std::decay_t<A>...>(
            this, std::move(value), std::forward<F>(f), std::forward<A>(args)...);
    }
    /// The calling task's value; null where none was set. Valid while the task is in the call that set it.
    /// Terminates outside of a task.
    [[nodiscard]] const T* get() const noexcept {
        return static_cast<const T*>(detail::find_task_local(this));
    }
};

} // namespace levada
