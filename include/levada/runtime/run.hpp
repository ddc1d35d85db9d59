#pragma once

#include <chrono>
#include <source_location>
#include <type_traits>
#include <utility>

#include <levada/core/main_task.hpp>
#include <levada/runtime/event_loop.hpp>

namespace levada {

namespace detail {

template <class F, class... A>
int run_at(const std::source_location& where, F&& f, A&&... args) {
    check_startable<F, A...>();
    using T = started_value<F, A...>;
    static_assert(std::is_void_v<T> || std::is_same_v<T, int>,
                  "the main task gives nothing, or an int: the exit code");
    event_loop loop;
    auto main = start_main(loop, where, std::forward<F>(f), std::forward<A>(args)...);
    const bool awake = loop.run_main(main.shared_block(), std::chrono::seconds(10));
    if (!awake) {
        main.detach();
        return 2;
    }
    if constexpr (std::is_void_v<T>) {
        main_value(main);
        return 0;
    } else {
        return main_value(main);
    }
}

} // namespace detail

/// Runs `f(args...)` as the main task of a loop of its own, and gives the program's exit code: 0 for
/// `task<>`, the value for `task<int>` (and for plain callables likewise). `int main() { return
/// levada::run(f); }`
///
/// When main has ended, all tasks that are left are cancelled and joined; one that does not end within 10 s
/// aborts the program with a list of what still runs. An exception from `f` is rethrown once that is done.
/// When every task sleeps and nothing can wake one, they are listed on stderr and 2 is given; this is known
/// only while the process has no other threads. Terminates on a loop's own thread.
LEVADA_STARTER(int, run, detail::run_at)

} // namespace levada
