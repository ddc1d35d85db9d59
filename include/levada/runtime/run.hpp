#pragma once

#include <source_location>
#include <utility>

#include <levada/runtime/runtime.hpp>

namespace levada {

namespace detail {

template <class F, class... A>
int run_at(const std::source_location& where, F&& f, A&&... args) {
    runtime here;
    return here.run_from(where, std::forward<F>(f), std::forward<A>(args)...);
}

} // namespace detail

/// Runs `f(args...)` as the main task of a `runtime` with the usual options, and gives the program's exit
/// code: 0 for `task<>`, the value for `task<int>` (and for plain callables likewise). `int main() { return
/// levada::run(f); }`
///
/// When main has ended, all tasks that are left are cancelled and joined; one that does not end within 10 s
/// aborts the program with a list of what still runs. An exception from `f` is rethrown once that is done.
/// When every task sleeps and nothing can wake one, they are listed on stderr and 2 is given; this is known
/// only while the process has no threads but the library's own. Terminates on a loop's own thread.
LEVADA_STARTER(int, run, detail::run_at)

} // namespace levada
