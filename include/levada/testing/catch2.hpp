#pragma once

// For tests with Catch2 v3: include this instead of <levada/testing.hpp>.

#include <cstdint>
#include <string>

#include <catch2/catch_message.hpp>
#include <catch2/catch_test_macros.hpp>

#include <levada/base/frame_pool.hpp>
#include <levada/detail/testing/failure_counter.hpp>
#include <levada/task/task.hpp>
#include <levada/testing/explore.hpp>
#include <levada/testing/leak_guard.hpp>

namespace levada::testing {

/// A leak that a leak_guard finds is a failed assertion.
inline const leak_guard::handler on_leak_before =
    leak_guard::on_leak([](const std::string& report) { FAIL_CHECK(report); });

/// Runs a test's coroutine under the seeds 1 to `seeds`, up to the first one under which an assertion fails,
/// which is told with it. Afterwards no frame may be left.
template <class F>
void run_test(std::uint64_t seeds, const F& f, interleave where = interleave::everywhere) {
    const std::size_t before = frame_pool::live();
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        INFO("seed " << seed << ": virtual_loop(" << seed << ").run(...) repeats it");
        const std::uint64_t failed = failure_counter::failures;
        static_cast<void>(virtual_loop(seed, where).run(f));
        REQUIRE(frame_pool::live() == before);
        if (failure_counter::failures != failed) break;
    }
}

} // namespace levada::testing

#define LEVADA_INTERNAL_TEST_CASE(BODY, ...)                                                                 \
    static ::levada::task<> BODY();                                                                          \
    TEST_CASE(__VA_ARGS__) { ::levada::testing::run_test(8, BODY); }                                         \
    static ::levada::task<> BODY()

/// A test case whose body is a coroutine. It runs on a virtual_loop, under 8 seeds; the first one under which
/// an assertion fails ends it, and is told with that. `LEVADA_TEST_CASE("a closed channel is ready") { ...
/// co_await ch.recv(); ... }`
#define LEVADA_TEST_CASE(...)                                                                                \
    LEVADA_INTERNAL_TEST_CASE(INTERNAL_CATCH_UNIQUE_NAME(levada_test_case_), __VA_ARGS__)
