#include <levada/base/fatal.hpp>

#include <cstdio>
#include <cstdlib>

namespace levada::detail {

void fatal(std::string_view what) noexcept {
    std::fflush(stdout);
    std::fprintf(stderr, "levada: %.*s\n", static_cast<int>(what.size()), what.data());
    std::abort();
}

void fatal(std::string_view what, const std::source_location& where) noexcept {
    std::fflush(stdout);
    std::fprintf(stderr, "levada: %.*s (%s:%u)\n", static_cast<int>(what.size()), what.data(),
                 where.file_name(), static_cast<unsigned>(where.line()));
    std::abort();
}

} // namespace levada::detail
