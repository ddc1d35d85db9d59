#pragma once

#include <map>
#include <string>
#include <vector>

#include "options.hpp"

namespace bench {

using figures = std::map<std::string, std::vector<double>>; // by the name of the case, one a round

/// Puts this process, and those it starts, on as many CPUs, of the last that it may use. Where that is
/// refused it goes without.
void pin(int cpus);

/// Go's program, which stands beside this one; empty if it does not.
std::string go_program();

/// One round of it. Throws if it fails.
void run_go(const std::string& program, const options& o, figures& into);

} // namespace bench
