#include <levada/detail/engine/await_site.hpp>

#include <link.h>

#include <cstddef>
#include <span>

namespace levada::detail {
namespace {

struct search {
    std::uint32_t low;
    std::source_location found;
};

bool holds(const dl_phdr_info& file, std::uintptr_t at, std::size_t size) noexcept {
    for (const auto& part : std::span(file.dlpi_phdr, file.dlpi_phnum)) {
        const std::uintptr_t begin = file.dlpi_addr + part.p_vaddr;
        if (part.p_type == PT_LOAD && (part.p_flags & PF_R) && at >= begin &&
            at - begin + size <= part.p_memsz)
            return true;
    }
    return false;
}

// One file: whether it has what looks like a place at an address with that lower half.
int look_in(dl_phdr_info* file, std::size_t, void* data) noexcept {
    auto& s = *static_cast<search*>(data);
    constexpr std::size_t size = 2 * sizeof(const char*) + 2 * sizeof(unsigned); // two names, line and column
    constexpr std::uintptr_t half = std::uintptr_t(1) << 32;
    for (const auto& part : std::span(file->dlpi_phdr, file->dlpi_phnum)) {
        if (part.p_type != PT_LOAD) continue;
        const std::uintptr_t begin = file->dlpi_addr + part.p_vaddr;
        std::uintptr_t at = (begin & ~(half - 1)) | s.low;
        if (at < begin) at += half;
        if (at % alignof(const char*) != 0 || !holds(*file, at, size)) continue;
        const auto place = std::bit_cast<std::source_location>(at);
        const auto named = [&](const char* name) {
            return holds(*file, reinterpret_cast<std::uintptr_t>(name), 1);
        };
        if (!named(place.file_name()) || !named(place.function_name()) || place.line() == 0) continue;
        s.found = place;
        return 1;
    }
    return 0;
}

} // namespace

std::source_location await_site::where() const noexcept {
    search s{low_, {}};
    if (low_ != 0) ::dl_iterate_phdr(look_in, &s);
    return s.found;
}

} // namespace levada::detail
