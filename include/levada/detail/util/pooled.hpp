#pragma once

#include <cstddef>

#include <levada/base/frame_pool.hpp>

namespace levada::detail {

/// What comes from the frame_pool. (In malloc's heap, a small thing that stays among large ones that come and
/// go would keep their places apart.)
struct pooled {
    static void* operator new(std::size_t size) { return frame_pool::allocate(size); }
    static void operator delete(void* p, std::size_t size) noexcept { frame_pool::deallocate(p, size); }
};

} // namespace levada::detail
