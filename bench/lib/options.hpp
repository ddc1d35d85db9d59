#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "case.hpp"

namespace bench {

struct options {
    int rounds = 5;
    double scale = 1;
    std::string only;
    std::string name; // of the one case; empty: all
    settings how;
    bool beside = false; // one more thread, which sleeps
    bool go = true;
    bool lines = false;
    bool list = false;
    bool help = false;

    [[nodiscard]] bool wants(std::string_view case_name) const {
        return name.empty() ? case_name.find(only) != std::string_view::npos : case_name == name;
    }
};

extern const char* const usage;

class bad_option : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Throws `bad_option`.
options read_options(int argc, char** argv);

} // namespace bench
