#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <source_location>
#include <type_traits>
#include <utility>

#include <levada/detail/loop/spawn_on.hpp>
#include <levada/detail/task/handle_access.hpp>
#include <levada/detail/task/main_task.hpp>
#include <levada/detail/task/starter.hpp>
#include <levada/loop/event_loop.hpp>

namespace levada {

namespace detail {
template <class F, class... A>
int run_at(const std::source_location& where, F&& f, A&&... args);
} // namespace detail

struct runtime_options {
    /// How many loops; 0: what the environment variable LEVADA_LOOPS says, else one for each CPU that the
    /// process may use. LEVADA_LOOPS overrides both, as GOMAXPROCS does.
    std::size_t loops = 0;
    /// Tasks stay on the loop they were started on: for programs that keep their data by core. All loops run
    /// from the beginning then.
    bool pinned = false;
    /// All threads run from the beginning, and share whatever is ready, without looking whether that pays.
    bool eager = false;
    /// How long what is left may take to end, once main has.
    duration shutdown_limit = std::chrono::seconds(10);
};

/// Loops that work together, one a thread, each on an io_uring of its own.
///
/// A task that becomes ready runs on the loop of the one that woke it, and loops that have nothing to do take
/// ready tasks from the others: so by default a task may resume on another thread after any `co_await`.
///
/// The first loop runs on the thread that calls `run`. The other loops start when there is work for them:
/// when tasks wait while another computes, for which a thread of the runtime watches. Until then channels,
/// tasks and tokens pay for no atomics.
class runtime {
public:
    /// Throws `std::invalid_argument` where LEVADA_LOOPS is no number from 1 to 1024, and `std::system_error`
    /// that says what to do where the kernel gives no io_uring.
    explicit runtime(const runtime_options& options = {});
    ~runtime();
    runtime(const runtime&) = delete;
    runtime& operator=(const runtime&) = delete;

    /// Runs `f(args...)` as the main task, and gives the program's exit code: 0 for `task<>`, the value for
    /// `task<int>` (and for plain callables likewise). When it has ended, all tasks that are left are
    /// cancelled and joined, and the threads end. An exception from `f` is rethrown once that is done. May be
    /// called again.
    LEVADA_INTERNAL_STARTER(int, run, run_at)

    /// How many loops there are.
    [[nodiscard]] std::size_t size() const noexcept;
    /// One of them, from 0. It lives until `run` returns; the threads of all are started, if they are not
    /// yet.
    [[nodiscard]] event_loop& loop(std::size_t i);

private:
    template <class F, class... A>
    friend int detail::run_at(const std::source_location& where, F&& f, A&&... args);

    template <class F, class... A>
    int run_at(const std::source_location& where, F&& f, A&&... args) {
        detail::check_startable<F, A...>();
        using T = detail::started_value<F, A...>;
        static_assert(std::is_void_v<T> || std::is_same_v<T, int>,
                      "the main task gives nothing, or an int: the exit code");
        auto main = detail::start_main(prepare(), where, std::forward<F>(f), std::forward<A>(args)...);
        const bool awake = run_until_ended(detail::handle_access::block(main));
        if (!awake) {
            main.detach();
            return 2;
        }
        if constexpr (std::is_void_v<T>) {
            detail::main_value(main);
            return 0;
        } else {
            return detail::main_value(main);
        }
    }
    [[nodiscard]] event_loop& prepare();
    [[nodiscard]] bool run_until_ended(detail::task_block& main);

    runtime_options options_;
    std::unique_ptr<detail::loop_group> group_;
    bool used_ = false;
};

/// `spawn_on(loop, f, args...)` is `spawn` for a task that runs on `loop` and never leaves it. `loop` belongs
/// to the runtime of the calling task.
LEVADA_INTERNAL_STARTER([[nodiscard]] auto, spawn_on, detail::spawn_on_at)

} // namespace levada
