#include "buffer_pool.hpp"

#include <liburing.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include <levada/base/executor.hpp>

#if defined(__SANITIZE_ADDRESS__)
#define LEVADA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEVADA_ASAN 1
#endif
#endif
#ifdef LEVADA_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace levada::detail {
namespace {

constexpr unsigned first_few = 16;

void* map(std::size_t bytes) noexcept {
    void* p =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    ::madvise(p, bytes, MADV_NOHUGEPAGE); // most of a buffer is never touched
    return p;
}
constexpr std::size_t memory_bytes = std::size_t(buffer_pool::most) * buffer_pool::size;
constexpr std::size_t shared_bytes = sizeof(io_uring_buf) * buffer_pool::most;

// Use after it was given back is reported as that of freed memory.
void forbid([[maybe_unused]] std::byte* p) noexcept {
#ifdef LEVADA_ASAN
    ASAN_POISON_MEMORY_REGION(p, buffer_pool::size);
#endif
}
void allow([[maybe_unused]] std::byte* p) noexcept {
#ifdef LEVADA_ASAN
    ASAN_UNPOISON_MEMORY_REGION(p, buffer_pool::size);
#endif
}

} // namespace

buffer_pool* buffer_pool::make(const ring& of, io_uring& in) noexcept {
    void* const memory = map(memory_bytes);
    void* const shared = map(shared_bytes);
    buffer_pool* made = nullptr;
    if (memory && shared) {
        io_uring_buf_reg reg{};
        reg.ring_addr = reinterpret_cast<std::uint64_t>(shared);
        reg.ring_entries = most;
        reg.bgid = group;
        if (io_uring_register_buf_ring(&in, &reg, 0) == 0)
            made = new (std::nothrow)
                buffer_pool(of, static_cast<std::byte*>(memory), static_cast<io_uring_buf_ring*>(shared));
    }
    if (!made) {
        if (memory) ::munmap(memory, memory_bytes);
        if (shared) ::munmap(shared, shared_bytes);
        return nullptr;
    }
    io_uring_buf_ring_init(made->shared_);
    (void)made->grow();
    return made;
}

buffer_pool::~buffer_pool() {
    for (unsigned id = 0; id < made_; ++id) allow(at(id));
    ::munmap(memory_, memory_bytes);
    ::munmap(shared_, shared_bytes);
}

void buffer_pool::put(unsigned id) noexcept {
    forbid(at(id));
    io_uring_buf_ring_add(shared_, at(id), size, static_cast<unsigned short>(id),
                          io_uring_buf_ring_mask(most), 0);
    io_uring_buf_ring_advance(shared_, 1);
}

std::byte* buffer_pool::take(unsigned id) noexcept {
    allow(at(id));
    ++out_;
    return at(id);
}

bool buffer_pool::grow() noexcept {
    if (take_returned()) return true;
    const unsigned until = std::min(most, std::max(first_few, 2 * made_));
    const bool more = made_ < until;
    while (made_ < until) put(made_++);
    return more;
}

bool buffer_pool::take_returned() noexcept {
    // Relaxed: what it would see is looked at again under the lock, and what it misses is seen by a later
    // look.
    if (returned_.load(std::memory_order_relaxed) == none) return false;
    unsigned id;
    {
        lock_guard guard(lock_);
        id = returned_.load(std::memory_order_relaxed);
        returned_.store(none, std::memory_order_relaxed);
        out_ -= std::exchange(returned_count_, 0u);
    }
    while (id != none) {
        unsigned following;
        std::memcpy(&following, at(id), sizeof(following));
        put(id);
        id = following;
    }
    return true;
}

void buffer_pool::give_back(unsigned id) noexcept {
    // Relaxed: only the ring's own thread can find its ring here, and only that thread takes it out again.
    executor* const here = executor::current();
    const ring* const mine = ring_.load(std::memory_order_relaxed);
    if (mine && here && here->kernel() == mine) {
        --out_;
        put(id);
        (void)take_returned();
        return;
    }
    bool last = false;
    {
        lock_guard guard(lock_);
        if (closed_) {
            last = --left_ == 0;
        } else {
            const unsigned following = returned_.load(std::memory_order_relaxed);
            std::memcpy(at(id), &following, sizeof(following));
            returned_.store(id, std::memory_order_relaxed);
            ++returned_count_;
        }
    }
    if (last) delete this;
}

void buffer_pool::close() noexcept {
    bool last;
    {
        lock_guard guard(lock_);
        ring_.store(nullptr, std::memory_order_relaxed);
        closed_ = true;
        left_ = out_ - returned_count_;
        last = left_ == 0;
    }
    if (last) delete this;
}

} // namespace levada::detail
