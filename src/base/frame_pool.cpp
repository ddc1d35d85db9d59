#include <levada/base/frame_pool.hpp>

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <mutex>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LEVADA_POOL_IS_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define LEVADA_POOL_IS_MALLOC 1
#endif
#endif

// Invariants:
// 1. Every piece of a pooled size lies in a slab, aligned to its own size, whose head names its owner pool.
// 2. The free lists of a pool are touched by its owner thread only; others push to `remote_`, a stack that
//    the owner takes as a whole. Pushing needs no tag against reuse, since nothing is popped singly.
// 3. Slabs are cut from chunks, which a pool keeps. A small pool's chunk is one slab; one that holds
//    `huge_page` bytes takes chunks of an eighth of what it has, in huge pages where the kernel gives them:
//    faulting small pages in costs a task more than all the rest of its start.
// 4. A pool whose thread has ended waits in `idle_pools` (guarded by its mutex) for the next thread.

namespace levada {
namespace {

constexpr std::size_t granule = 16;
constexpr std::size_t classes = 128; // pieces of up to 2 KiB; larger ones come from operator new
constexpr std::size_t slab_size = std::size_t(1) << 17;
constexpr std::size_t huge_page = std::size_t(1) << 21;
constexpr std::size_t largest_chunk = 16 * huge_page;
static_assert(huge_page % slab_size == 0);

struct piece {
    piece* next;
    std::size_t size_class; // set while on a remote list
};
static_assert(sizeof(piece) <= granule);

class pool;

struct slab {
    pool* owner;
};

/// `size` bytes from the kernel, aligned to `alignment`; both are multiples of a page.
std::byte* map_pages(std::size_t size, std::size_t alignment) {
    const std::size_t room = size + alignment;
    void* const got = ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) throw std::bad_alloc();
    auto* const first = static_cast<std::byte*>(got);
    const std::size_t before = (alignment - reinterpret_cast<std::uintptr_t>(first) % alignment) % alignment;
    if (before > 0) ::munmap(first, before);
    if (before < alignment) ::munmap(first + before + size, alignment - before);
    return first + before;
}

class pool {
public:
    void* allocate(std::size_t c) {
        shelf& s = shelves_[c];
        if (piece* p = s.free) [[likely]] {
            bump(s.out, 1);
            s.free = p->next;
            return p;
        }
        return refill(c);
    }
    void deallocate(void* memory, std::size_t c) noexcept {
        shelf& s = shelves_[c];
        bump(s.out, minus_one);
        s.free = ::new (memory) piece{s.free, 0};
    }
    /// Called by the thread that frees a piece of this pool, and has a pool of its own.
    void deallocate_remote(void* memory, std::size_t c) noexcept {
        piece* p = ::new (memory) piece{remote_.load(std::memory_order_relaxed), c};
        // Release: what the freeing thread did to the piece comes before its next use by the owner.
        while (!remote_.compare_exchange_weak(p->next, p, std::memory_order_release,
                                              std::memory_order_relaxed)) {
        }
    }
    // Pieces of a size that is not pooled, and pooled ones that belong to others.
    void remember(std::size_t c) noexcept { count(c, 1); }
    void forget(std::size_t c) noexcept { count(c, minus_one); }

    // Each thread counts what it allocates and frees, so only the sums over all pools tell anything.
    std::size_t live() const noexcept {
        std::size_t n = large_.load(std::memory_order_relaxed);
        for (const shelf& s : shelves_) n += s.out.load(std::memory_order_relaxed);
        return n;
    }
    std::size_t live_bytes() const noexcept {
        std::size_t n = large_bytes_.load(std::memory_order_relaxed);
        for (std::size_t c = 0; c <= classes; ++c)
            n += c * granule * shelves_[c].out.load(std::memory_order_relaxed);
        return n;
    }

    pool* next_pool = nullptr;
    pool* next_idle = nullptr;

private:
    struct shelf {
        piece* free = nullptr;
        std::atomic<std::size_t> out{0}; // allocated, less freed, by this thread
    };
    static constexpr std::size_t minus_one = ~std::size_t(0);

    void count(std::size_t c, std::size_t by) noexcept {
        if (c <= classes) return bump(shelves_[c].out, by);
        bump(large_, by);
        bump(large_bytes_, by * c * granule);
    }
    // Written by the owner thread only, read by any: relaxed, since they are sums that nobody orders by.
    static void bump(std::atomic<std::size_t>& n, std::size_t by) noexcept {
        n.store(n.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }

    [[gnu::noinline]] void* refill(std::size_t c) {
        piece* returned = remote_.exchange(nullptr, std::memory_order_acquire);
        while (returned) {
            piece* p = returned;
            returned = p->next;
            shelf& s = shelves_[p->size_class];
            p->next = s.free;
            s.free = p;
        }
        if (piece* p = shelves_[c].free) {
            bump(shelves_[c].out, 1);
            shelves_[c].free = p->next;
            return p;
        }
        const std::size_t size = c * granule;
        if (static_cast<std::size_t>(end_ - next_) < size) new_slab(); // may throw
        bump(shelves_[c].out, 1);
        void* p = next_;
        next_ += size;
        return p;
    }
    void new_slab() {
        if (chunk_ == chunk_end_) new_chunk();
        // The tail of the old slab is wasted: less than one piece.
        ::new (static_cast<void*>(chunk_)) slab{this};
        next_ = chunk_ + granule;
        chunk_ += slab_size;
        end_ = chunk_;
    }
    void new_chunk() {
        const int saved = errno; // of one who starts a task between a call and a look at it
        const bool huge = mapped_ >= huge_page;
        const std::size_t size =
            huge ? std::clamp(mapped_ / 8 / huge_page * huge_page, huge_page, largest_chunk) : slab_size;
        chunk_ = map_pages(size, huge ? huge_page : slab_size);
        chunk_end_ = chunk_ + size;
        mapped_ += size;
        if (huge) ::madvise(chunk_, size, MADV_HUGEPAGE); // a wish: small pages do as well
        errno = saved;
    }

    std::array<shelf, classes + 1> shelves_{};
    std::byte* next_ = nullptr;
    std::byte* end_ = nullptr;
    std::byte* chunk_ = nullptr; // what is left of the newest chunk
    std::byte* chunk_end_ = nullptr;
    std::size_t mapped_ = 0;
    std::atomic<std::size_t> large_{0};
    std::atomic<std::size_t> large_bytes_{0};
    std::atomic<piece*> remote_{nullptr};
};

struct pool_list {
    std::mutex mutex;
    pool* all = nullptr;
    pool* idle = nullptr;
};
pool_list& pools() noexcept {
    // Never destroyed: threads may end after main.
    alignas(pool_list) static std::byte memory[sizeof(pool_list)];
    static pool_list* const list = [] {
        // In the child of a fork the mutex is free. (Out of memory, it may not be.)
        (void)::pthread_atfork([] { pools().mutex.lock(); }, [] { pools().mutex.unlock(); },
                               [] { pools().mutex.unlock(); });
        return ::new (static_cast<void*>(memory)) pool_list;
    }();
    return *list;
}

class pool_of_thread {
public:
    ~pool_of_thread() {
        std::lock_guard guard(pools().mutex);
        mine_->next_idle = pools().idle;
        pools().idle = mine_;
        mine_ = nullptr;
        current = nullptr;
    }
    static pool& get() {
        if (current) [[likely]]
            return *current;
        return adopt();
    }
    /// Null where there is no memory for one.
    static pool* find() noexcept {
        if (current) [[likely]]
            return current;
        try {
            return &adopt();
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
    }

private:
    pool_of_thread() : mine_(take()) { current = mine_; }

    static pool* take() {
        std::lock_guard guard(pools().mutex);
        pool* p = pools().idle;
        if (p) {
            pools().idle = p->next_idle;
        } else {
            p = new pool;
            p->next_pool = pools().all;
            pools().all = p;
        }
        return p;
    }
    [[gnu::noinline]] static pool& adopt() {
        thread_local pool_of_thread instance;
        // In destructors of thread-locals that run after ours: a pool that nobody gives back any more.
        if (!current) current = take();
        return *current;
    }
    pool* mine_;
    static inline thread_local constinit pool* current = nullptr;
};

constexpr std::size_t class_of(std::size_t size) noexcept { return (size + granule - 1) / granule; }

#ifndef LEVADA_POOL_IS_MALLOC
pool& owner_of(void* p) noexcept {
    const auto head = reinterpret_cast<std::uintptr_t>(p) & ~(std::uintptr_t(slab_size) - 1);
    return *reinterpret_cast<slab*>(head)->owner;
}
#endif

// What threads have freed for which there was no pool. Relaxed: they are parts of sums.
std::atomic<std::size_t> freed_without_pool{0};
std::atomic<std::size_t> bytes_freed_without_pool{0};

[[gnu::noinline]] void deallocate_without_pool(void* p, std::size_t size, std::size_t c) noexcept {
    freed_without_pool.fetch_add(1, std::memory_order_relaxed);
    bytes_freed_without_pool.fetch_add(c * granule, std::memory_order_relaxed);
#ifndef LEVADA_POOL_IS_MALLOC
    if (c <= classes) return owner_of(p).deallocate_remote(p, c);
#endif
    ::operator delete(p, size);
}

} // namespace

void* frame_pool::allocate(std::size_t size) {
    pool& mine = pool_of_thread::get();
    const std::size_t c = class_of(size);
#ifndef LEVADA_POOL_IS_MALLOC
    if (c <= classes) [[likely]]
        return mine.allocate(c);
#endif
    void* p = ::operator new(size);
    mine.remember(c);
    return p;
}

void frame_pool::deallocate(void* p, std::size_t size) noexcept {
    pool* const found = pool_of_thread::find();
    const std::size_t c = class_of(size);
    if (!found) [[unlikely]]
        return deallocate_without_pool(p, size, c);
    pool& mine = *found;
#ifndef LEVADA_POOL_IS_MALLOC
    if (c <= classes) [[likely]] {
        pool& owner = owner_of(p);
        if (&owner == &mine) [[likely]] {
            mine.deallocate(p, c);
        } else {
            mine.forget(c);
            owner.deallocate_remote(p, c);
        }
        return;
    }
#endif
    mine.forget(c);
    ::operator delete(p, size);
}

std::size_t frame_pool::live() noexcept {
    std::lock_guard guard(pools().mutex);
    std::size_t n = 0;
    for (pool* p = pools().all; p; p = p->next_pool) n += p->live();
    return n - freed_without_pool.load(std::memory_order_relaxed);
}

std::size_t frame_pool::live_bytes() noexcept {
    std::lock_guard guard(pools().mutex);
    std::size_t n = 0;
    for (pool* p = pools().all; p; p = p->next_pool) n += p->live_bytes();
    return n - bytes_freed_without_pool.load(std::memory_order_relaxed);
}

} // namespace levada
