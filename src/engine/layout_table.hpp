#pragma once

#include <cstddef>
#include <cstdint>

namespace levada::detail {

/// Where debuggers find things in a task: tools/gdb/levada.py reads it. src/inspect/layout.cpp fills it.
struct layout_table {
    static constexpr std::size_t size = 26;
    std::uint32_t entries[size];
};

} // namespace levada::detail

extern "C" {
extern const levada::detail::layout_table levada_layout;
}
