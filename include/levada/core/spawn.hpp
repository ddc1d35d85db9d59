#pragma once

#include <concepts>
#include <functional>
#include <new>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

#include <levada/base/frame_pool.hpp>
#include <levada/core/join_handle.hpp>
#include <levada/core/natural.hpp>
#include <levada/core/task.hpp>

namespace levada {
namespace detail {

template <class R>
struct task_value {
    using type = R;
};
template <class T>
struct task_value<task<T>> {
    using type = T;
};

/// What calling `f(args...)` as a task gives: `T` for a coroutine of `task<T>`, else what it returns.
template <class F, class... A>
using started_value = typename task_value<std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>>::type;

template <class F, class... A>
concept startable = std::invocable<std::decay_t<F>, std::decay_t<A>...>;

template <class F, class... A>
consteval void check_startable() {
    static_assert(
        !is_task<std::remove_cvref_t<F>>,
        "pass the function and its arguments, not a task: go(f, x), not go(f(x)). They are then kept "
        "for as long as the task runs");
    if constexpr (!is_task<std::remove_cvref_t<F>>) {
        static_assert(startable<F, A...>, "the callable cannot be called with these arguments (they are "
                                          "decay-copied, as by std::thread: use std::ref to refer)");
        if constexpr (startable<F, A...>)
            check_returned<std::invoke_result_t<std::decay_t<F>, std::decay_t<A>...>>();
    }
}

/// A control block that holds what the task was started with. `End` says whom its end concerns.
template <class T, class End, class F, class... A>
class started_control final : public result_control<T> {
public:
    template <class G, class... B>
    started_control(executor* home, const std::source_location& where, End end, G&& f, B&&... args)
        : result_control<T>(home, where),
          end_(std::move(end)),
          call_(std::in_place, std::forward<G>(f), std::forward<B>(args)...) {}

private:
    using call_type = std::tuple<F, A...>;
    using returned = std::invoke_result_t<F, A...>;

    ~started_control() = default;

    frame_handle begin() override {
        if constexpr (is_task<returned>) {
            return erase(
                std::apply([](auto&... parts) { return std::invoke(std::move(parts)...); }, call_.value)
                    .release());
        } else if constexpr (std::is_void_v<returned>) {
            std::apply([](auto&... parts) { std::invoke(std::move(parts)...); }, call_.value);
        } else {
            this->slot_.emplace(std::apply(
                [](auto&... parts) -> returned { return std::invoke(std::move(parts)...); }, call_.value));
        }
        return nullptr;
    }
    void collect(frame_handle root) override {
        if constexpr (is_task<returned>) {
            frame_owner<T> frame(typed<T>(root));
            if constexpr (std::is_void_v<T>) frame.take();
            else this->slot_.emplace(frame.take());
        }
    }
    void destroy_arguments() noexcept override { std::destroy_at(&call_.value); }
    void ended(after_unlock& todo) noexcept override {
        // A result that nobody will take goes before anybody hears of the end: they may destroy what it
        // refers to.
        if (!End::joinable || !this->has_handle()) this->slot_.reset();
        end_.ended(*this, todo);
    }
    void deallocate() noexcept override {
        this->~started_control();
        frame_pool::deallocate(this, sizeof(started_control));
    }

    union call_slot { // destroyed before the rest, with the task's end
        template <class... B>
        explicit call_slot(std::in_place_t, B&&... parts) : value(std::forward<B>(parts)...) {}
        ~call_slot() {}
        call_type value;
    };
    [[no_unique_address]] End end_;
    call_slot call_;
    friend class control;
};

/// The end of a task that a handle may join: `control::ended` does what is needed.
struct joined_end {
    static constexpr bool joinable = true;
    template <class C>
    void ended(C& task, after_unlock&) const noexcept {
        task.end_for_handle();
    }
};

template <class End, class F, class... A>
auto& make_control(executor& home, const std::source_location& where, End end, F&& f, A&&... args) {
    using block = started_control<started_value<F, A...>, End, std::decay_t<F>, std::decay_t<A>...>;
    static_assert(
        alignof(block) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__,
        "a callable or argument of extended alignment cannot be kept by a task: pass it by pointer");
    struct memory {
        void* p = frame_pool::allocate(sizeof(block));
        ~memory() {
            if (p) frame_pool::deallocate(p, sizeof(block));
        }
    } m;
    auto* made =
        ::new (m.p) block(&home, where, std::move(end), std::forward<F>(f), std::forward<A>(args)...);
    m.p = nullptr;
    return *made;
}

/// Starts a task that was made, with a handle to join it.
template <class C>
auto launch_with_handle(C& made, cancel_node& below) {
    join_handle<typename C::value_type> handle(made);
    made.ref();
    made.hold_handle();
    made.launch(below);
    return handle;
}

/// The executor of this thread, or terminates with "`what` outside of a loop".
[[nodiscard]] executor& current_executor(const char* what) noexcept;

template <class F, class... A>
void go_at(const std::source_location& where, F&& f, A&&... args) {
    check_startable<F, A...>();
    executor& home = current_executor("go");
    make_control(home, where, joined_end(), std::forward<F>(f), std::forward<A>(args)...)
        .launch(home.local_root());
}

template <class F, class... A>
auto spawn_at(const std::source_location& where, F&& f, A&&... args) {
    check_startable<F, A...>();
    control& parent = current_task("spawn");
    auto& made =
        make_control(*parent.home(), where, joined_end(), std::forward<F>(f), std::forward<A>(args)...);
    return launch_with_handle(made, *parent.current());
}

} // namespace detail

// A default argument that names the caller's line cannot follow a pack, so those who start tasks exist for
// each number of arguments: NAME(f, args..., where) calls NAME_at(where, f, args...).
#define LEVADA_FORWARD(x) static_cast<decltype(x)&&>(x)
#define LEVADA_HERE const std::source_location& where = std::source_location::current()
#define LEVADA_STARTER(QUALIFIERS, NAME, IMPLEMENTATION)                                                     \
    template <class F>                                                                                       \
    QUALIFIERS NAME(F&& f, LEVADA_HERE) {                                                                    \
        return IMPLEMENTATION(where, LEVADA_FORWARD(f));                                                     \
    }                                                                                                        \
    template <class F, class A>                                                                              \
    QUALIFIERS NAME(F&& f, A&& a, LEVADA_HERE) {                                                             \
        return IMPLEMENTATION(where, LEVADA_FORWARD(f), LEVADA_FORWARD(a));                                  \
    }                                                                                                        \
    template <class F, class A, class B>                                                                     \
    QUALIFIERS NAME(F&& f, A&& a, B&& b, LEVADA_HERE) {                                                      \
        return IMPLEMENTATION(where, LEVADA_FORWARD(f), LEVADA_FORWARD(a), LEVADA_FORWARD(b));               \
    }                                                                                                        \
    template <class F, class A, class B, class C>                                                            \
    QUALIFIERS NAME(F&& f, A&& a, B&& b, C&& c, LEVADA_HERE) {                                               \
        return IMPLEMENTATION(where, LEVADA_FORWARD(f), LEVADA_FORWARD(a), LEVADA_FORWARD(b),                \
                              LEVADA_FORWARD(c));                                                            \
    }                                                                                                        \
    template <class F, class A, class B, class C, class D>                                                   \
    QUALIFIERS NAME(F&& f, A&& a, B&& b, C&& c, D&& d, LEVADA_HERE) {                                        \
        return IMPLEMENTATION(where, LEVADA_FORWARD(f), LEVADA_FORWARD(a), LEVADA_FORWARD(b),                \
                              LEVADA_FORWARD(c), LEVADA_FORWARD(d));                                         \
    }                                                                                                        \
    template <class F, class A, class B, class C, class D, class E, class... More>                           \
    QUALIFIERS NAME(F&& f, A&& a, B&& b, C&& c, D&& d, E&& e, More&&... more) {                              \
        return IMPLEMENTATION(std::source_location(), LEVADA_FORWARD(f), LEVADA_FORWARD(a),                  \
                              LEVADA_FORWARD(b), LEVADA_FORWARD(c), LEVADA_FORWARD(d), LEVADA_FORWARD(e),    \
                              LEVADA_FORWARD(more)...);                                                      \
    }

/// `go(f, args...)` starts `f(args...)` as a task under the loop's root, and forgets it: when main ends it is
/// cancelled and joined. An exception from it terminates. `f` and its arguments are decay-copied and live as
/// long as the task. *Threads*: on a loop's.
LEVADA_STARTER(void, go, detail::go_at)

/// `spawn(f, args...)` starts `f(args...)` as a child of the calling task, under its current token, and gives
/// the `join_handle` of what it returns. If the calling task unwinds, the child is cancelled and awaited
/// first.
LEVADA_STARTER([[nodiscard]] auto, spawn, detail::spawn_at)

} // namespace levada
