#pragma once

#include <span>

#include "../lib/case.hpp"

namespace bench {

// Each is defined in the file of its name. Go's counterparts have the same names in ../go/, tokio's and the
// other crates' in ../rust/src/, Asio's in ../asio/.

std::span<const bench_case> flow_cases();    // one direction, several senders and receivers
std::span<const bench_case> select_cases();  // over channels, with a default, with a timeout
std::span<const bench_case> task_cases();    // started, parked, cancelled, asleep
std::span<const bench_case> pattern_cases(); // worker pools, the sieve, skynet
std::span<const bench_case> go_cases();      // what the benchmarks of Go's own runtime measure

} // namespace bench
