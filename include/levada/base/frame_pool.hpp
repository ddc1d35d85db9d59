#pragma once

#include <cstddef>

namespace levada {

/// Where coroutine frames, task blocks, and what a connection holds for as long as it lasts come from:
/// free lists by size, one set a thread, so that a frame costs a few nanoseconds. A frame that is freed by
/// another thread goes back to its owner's remote list. Pools outlive their threads. Under sanitizers every
/// frame is an allocation of its own.
class frame_pool {
public:
    /// `size` bytes, aligned for every type without extended alignment.
    [[nodiscard]] static void* allocate(std::size_t size);
    /// Takes back what `allocate` gave for the same size, on any thread.
    static void deallocate(void* p, std::size_t size) noexcept;

    /// Pieces handed out and not yet given back, over all threads. Zero when every task has ended, and every
    /// stream and listener has gone.
    [[nodiscard]] static std::size_t live() noexcept;
    /// The bytes that those pieces take, rounded to the pool's sizes.
    [[nodiscard]] static std::size_t live_bytes() noexcept;
};

} // namespace levada
