// A task for each item, a few at once, and their results in the order of the items.

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

task<std::string> describe(int number) {
    co_await sleep_for(std::chrono::milliseconds(10 - number)); // the later ones are done first
    co_return std::to_string(number) + " squared is " + std::to_string(number * number);
}

task<> run_all() {
    const std::vector<int> items{1, 2, 3, 4, 5};
    auto lines = co_await fan_out(items, describe);
    for (const std::string& line : lines) std::printf("%s\n", line.c_str());

    constexpr std::size_t at_once = 2;
    auto lengths = co_await fan_out(lines, [](const std::string& line) { return line.size(); }, at_once);
    std::size_t sum = 0;
    for (std::size_t n : lengths) sum += n;
    std::printf("%zu letters in all\n", sum);
}

} // namespace

int main() { return levada::run(run_all); }
