#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include <levada/core/boundary.hpp>
#include <levada/core/natural.hpp>
#include <levada/core/spawn.hpp>

namespace levada {

namespace detail {

/// The value of the calling task under a key, from its innermost region outwards; null where there is none.
[[nodiscard]] const void* find_task_local(const void* key) noexcept;

/// A call with one more value.
template <class V, class T, class F, class... A>
class [[nodiscard]] value_call final : public call_boundary<T, F, A...> {
public:
    template <class... B>
    value_call(const void* key, V&& value, B&&... call)
        : call_boundary<T, F, A...>(std::in_place, std::forward<B>(call)...),
          kept_(std::make_unique<kept>(key, std::move(value))) {}
    value_call(value_call&&) = delete;

    template <class P>
    bool await_suspend(std::coroutine_handle<P> h) {
        control& task = h.promise().owner();
        this->enter(node_kind::scope, task, h.promise());
        this->node().attached = std::move(kept_);
        return this->start_call(task);
    }
    T await_resume() {
        if (this->threw()) this->rethrow();
        return this->take();
    }

private:
    class kept final : public scope_node::attachment {
    public:
        kept(const void* key, V&& value) : key_(key), value_(std::move(value)) {}
        [[nodiscard]] const void* value_of(const void* key) const noexcept override {
            return key == key_ ? std::addressof(value_) : nullptr;
        }

    private:
        const void* key_;
        V value_;
    };
    std::unique_ptr<kept> kept_;
};

} // namespace detail

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
        detail::check_natural<F>();
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
