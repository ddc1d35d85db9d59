#include "options.hpp"

#include <charconv>

namespace bench {

const char* const usage =
    "usage: channel [--rounds N] [--only SUBSTRING | --case NAME] [--scale X] [--threads N]\n"
    "               [--eager] [--beside] [--clock wall|cpu] [--no-go | --lines | --list]\n"
    "  --rounds N        how often everything runs (5)\n"
    "  --only SUBSTRING  only cases whose name contains it\n"
    "  --case NAME       only the case of that name\n"
    "  --scale X         multiplies the work of every case (1)\n"
    "  --threads N       loops, and CPUs to run on (1)\n"
    "  --eager           the threads of all loops start at once, and not when they would pay\n"
    "  --beside          the process has one thread more, which sleeps, as most programs have\n"
    "  --clock WHICH     wall: the time that passes (the default); cpu: the processor time of the\n"
    "                    process, which leaves its neighbours out, for --threads 1\n"
    "  --no-go           leaves Go out\n"
    "  --lines           one round of ours, a line a case: its name, a tab, its figure\n"
    "  --list            the names of the cases\n"
    "Figures are ns per message or operation where the name says nothing else:\n"
    "the median over the rounds, and the least and the greatest.\n";

namespace {

template <class T>
T positive(const char* option, std::string_view text, T most = T(1'000'000)) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value > 0) || value > most) {
        throw bad_option(std::string(option) + " needs a number from above 0 to " +
                         std::to_string(static_cast<long>(most)) + ", not \"" + std::string(text) + "\"");
    }
    return value;
}

clock_kind read_clock(std::string_view text) {
    if (text == "wall") return clock_kind::wall;
    if (text == "cpu") return clock_kind::processor;
    throw bad_option("--clock needs wall or cpu, not \"" + std::string(text) + "\"");
}

} // namespace

options read_options(int argc, char** argv) {
    options read;
    for (int i = 1; i < argc; ++i) {
        const std::string_view option = argv[i];
        const auto value = [&]() -> std::string_view {
            if (++i == argc) throw bad_option(std::string(option) + " needs a value");
            return argv[i];
        };
        if (option == "--rounds") read.rounds = positive<int>("--rounds", value());
        else if (option == "--scale") read.scale = positive<double>("--scale", value());
        else if (option == "--threads") read.how.threads = positive<int>("--threads", value(), 64);
        else if (option == "--clock") read.how.clock = read_clock(value());
        else if (option == "--only") read.only = value();
        else if (option == "--case") read.name = value();
        else if (option == "--eager") read.how.eager = true;
        else if (option == "--beside") read.beside = true;
        else if (option == "--no-go") read.go = false;
        else if (option == "--lines") read.lines = true;
        else if (option == "--list") read.list = true;
        else if (option == "--help") read.help = true;
        else throw bad_option("unknown option " + std::string(option) + "; --help lists them");
    }
    if (read.how.clock == clock_kind::processor && read.how.threads > 1)
        throw bad_option("--clock cpu adds up the threads: it is for --threads 1");
    return read;
}

} // namespace bench
