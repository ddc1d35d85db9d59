#pragma once

#include <cstdint>
#include <cstdio>
#include <utility>

#include <levada/testing/virtual_loop.hpp>

namespace levada {

/// Runs `f` as the main task of a `virtual_loop` under the seeds 1 to `seeds`, that is under as many
/// schedules. When one fails its seed is printed, and the exception passes on: `virtual_loop(seed).run(f)`
/// repeats it.
template <class F>
void explore(std::uint64_t seeds, const F& f) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        virtual_loop loop(seed);
        try {
            static_cast<void>(loop.run(f));
        } catch (...) {
            std::fprintf(stderr, "levada: explore: seed %llu of %llu failed\n",
                         static_cast<unsigned long long>(seed), static_cast<unsigned long long>(seeds));
            throw;
        }
    }
}

} // namespace levada
