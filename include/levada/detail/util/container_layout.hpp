#pragma once

namespace levada::detail {

// The containers of a program and of the library look the same in memory, or the program does not link.
#if defined(_GLIBCXX_DEBUG)
extern const char built_with_debug_containers;
[[gnu::used]] inline const char* const containers_of_the_library = &built_with_debug_containers;
#else
extern const char built_with_plain_containers;
[[gnu::used]] inline const char* const containers_of_the_library = &built_with_plain_containers;
#endif

} // namespace levada::detail
