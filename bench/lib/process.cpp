#include "process.hpp"

#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace bench {

void pin(int cpus) {
    cpu_set_t allowed, chosen;
    if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return;
    CPU_ZERO(&chosen);
    for (std::size_t cpu = CPU_SETSIZE; cpu-- > 0 && cpus > 0;) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        CPU_SET(cpu, &chosen);
        --cpus;
    }
    (void)::sched_setaffinity(0, sizeof(chosen), &chosen);
}

std::string go_program() {
    std::array<char, 4096> self;
    const auto n = ::readlink("/proc/self/exe", self.data(), self.size());
    if (n <= 0 || static_cast<std::size_t>(n) == self.size()) return {};
    std::string path = std::string(self.data(), static_cast<std::size_t>(n)) + "-go";
    return ::access(path.c_str(), X_OK) == 0 ? path : std::string();
}

namespace {

std::string shell_word(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'') out += "'\\''";
        else out += c;
    }
    return out + "'";
}

} // namespace

void run_go(const std::string& program, const options& o, figures& into) {
    const std::string command =
        shell_word(program) + " -scale " + std::to_string(o.scale) + " -threads " +
        std::to_string(o.how.threads) + " -clock " + (o.how.clock == clock_kind::wall ? "wall" : "cpu") +
        (o.name.empty() ? " -only " + shell_word(o.only) : " -case " + shell_word(o.name));
    std::FILE* pipe = ::popen(command.c_str(), "re");
    if (!pipe) throw std::runtime_error("cannot start " + program);
    std::array<char, 512> line;
    while (std::fgets(line.data(), line.size(), pipe)) {
        char* tab = std::strchr(line.data(), '\t');
        if (!tab) continue;
        into[std::string(line.data(), tab)].push_back(std::strtod(tab + 1, nullptr));
    }
    if (::pclose(pipe) != 0) throw std::runtime_error(program + " failed");
}

} // namespace bench
