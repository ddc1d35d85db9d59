#include <levada/loop/runtime.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "loop_group.hpp"

namespace levada {
namespace {

constexpr std::size_t most_loops = 1024;

std::size_t loops_wanted(std::size_t asked) {
    if (const char* text = std::getenv("LEVADA_LOOPS"); text && *text) {
        const std::string_view digits = text;
        std::size_t n = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
        if (error != std::errc() || end != digits.data() + digits.size() || n == 0 || n > most_loops)
            throw std::invalid_argument("LEVADA_LOOPS has to be a number from 1 to 1024, and is \"" +
                                        std::string(digits) + "\"");
        return n;
    }
    if (asked == 0) asked = std::thread::hardware_concurrency(); // the CPUs that this process may use
    return std::clamp<std::size_t>(asked, 1, most_loops);
}

} // namespace

runtime::runtime(const runtime_options& options) : options_(options) {
    options_.loops = loops_wanted(options.loops);
    group_ = std::make_unique<detail::loop_group>(options_.loops, options_.pinned, options_.eager);
}

runtime::~runtime() = default;

std::size_t runtime::size() const noexcept { return options_.loops; }

event_loop& runtime::loop(std::size_t i) {
    if (i >= size())
        throw std::out_of_range("runtime::loop(" + std::to_string(i) + "): there are " +
                                std::to_string(size()));
    return group_->loop(i);
}

event_loop& runtime::prepare() {
    if (used_) group_ = std::make_unique<detail::loop_group>(options_.loops, options_.pinned, options_.eager);
    used_ = true;
    if (options_.pinned || options_.eager) group_->start(); // may throw, and then nothing was started
    return group_->first();
}

bool runtime::run_until_ended(detail::task_block& main) {
    return group_->first().run_main(main, options_.shutdown_limit);
}

} // namespace levada
