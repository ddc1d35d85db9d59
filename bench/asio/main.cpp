// Prints a line for each case: its name, a tab, and nanoseconds per operation, or what the name says; where
// Asio cannot express it, a dash, a tab, and why.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include "cases.hpp"

namespace rival {

namespace {

constexpr const char* usage =
    "usage: asio [-only SUBSTRING | -case NAME] [-scale X] [-threads N] [-clock wall|cpu]\n";

class bad_option : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

void bench(int argc, char** argv) {
    std::string only, name;
    double scale = 1;
    for (int i = 1; i < argc; i += 2) {
        const std::string option = argv[i];
        if (i + 1 == argc) throw bad_option(option + " needs a value");
        const std::string value = argv[i + 1];
        if (option == "-only") only = value;
        else if (option == "-case") name = value;
        else if (option == "-scale") scale = std::atof(value.c_str());
        else if (option == "-threads") how().threads = std::atoi(value.c_str());
        else if (option == "-clock" && (value == "wall" || value == "cpu"))
            how().clock = value == "cpu" ? bench::clock_kind::processor : bench::clock_kind::wall;
        else throw bad_option("unknown option " + option + " " + value);
    }
    if (!(scale > 0) || how().threads < 1) throw bad_option("-scale and -threads need numbers above 0");
    for (const auto theme : {channel_cases(), task_cases()}) {
        for (const auto& c : theme) {
            const std::string_view known = c.name;
            if (name.empty() ? known.find(only) == std::string_view::npos : known != name) continue;
            const int n = std::max(10, static_cast<int>(c.size * scale));
            const outcome got = how().threads == 1 ? c.on_one(n) : c.on_several(n);
            if (got.left_out) std::printf("%s\t-\t%s\n", c.name, got.left_out);
            else std::printf("%s\t%.2f\n", c.name, got.figure);
            std::fflush(stdout);
        }
    }
}

} // namespace
} // namespace rival

int main(int argc, char** argv) {
    try {
        if (argc == 2 && std::string_view(argv[1]) == "--help") {
            std::fputs(rival::usage, stdout);
            return 0;
        }
        rival::bench(argc, argv);
        return 0;
    } catch (const rival::bad_option& e) {
        std::fprintf(stderr, "asio: %s\n%s", e.what(), rival::usage);
        return 2;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "asio: %s\n", e.what());
        return 1;
    }
}
