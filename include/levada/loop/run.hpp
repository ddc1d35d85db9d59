#pragma once

#include <source_location>
#include <utility>

#include <levada/detail/loop/run_at.hpp>
#include <levada/detail/task/starter.hpp>
#include <levada/loop/runtime.hpp>

namespace levada {

/// Runs `f(args...)` as the main task of a `runtime` with the usual options, and gives the program's exit
/// code: 0 for `task<>`, the value for `task<int>` (and for plain callables likewise). `int main() { return
/// levada::run(f); }`
///
/// When main has ended, all tasks that are left are cancelled and joined; one that does not end within 10 s
/// aborts the program with a list of what still runs. An exception from `f` is rethrown once that is done.
/// When every task sleeps and nothing can wake one, they are listed on stderr and 2 is given; this is known
/// only while the process has no threads but the library's own. Terminates on a loop's own thread.
LEVADA_INTERNAL_STARTER(int, run, detail::run_at)

} // namespace levada
