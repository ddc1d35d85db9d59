#pragma once

#include <levada/levada.hpp>

#include "measure.hpp"

namespace bench {

/// A main task that does `n` operations and leaves its figure: ns an operation where the name says nothing
/// else.
struct bench_case {
    const char* name;
    int size; // operations at scale 1; those of the rivals' programs
    levada::task<> (*run)(int n, double& figure);
    double limit = 0;   // that we set ourselves, on one thread; 0: none
    bool fresh = false; // measures the process: right in the first round only, before all others
};

} // namespace bench
