#include <support.hpp>

#include <cstdint>
#include <cstring>
#include <random>
#include <thread>
#include <utility>
#include <vector>

using levada::frame_pool;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool pooled = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
constexpr bool pooled = false;
#else
constexpr bool pooled = true;
#endif
#else
constexpr bool pooled = true;
#endif

TEST_CASE("a freed frame is used again by the next of its size") {
    void* first = frame_pool::allocate(200);
    frame_pool::deallocate(first, 200);
    void* second = frame_pool::allocate(200);
    if (pooled) CHECK(first == second);
    frame_pool::deallocate(second, 200);
}

TEST_CASE("live counts what is out, and comes back to where it was") {
    const std::size_t before = frame_pool::live();
    const std::size_t bytes = frame_pool::live_bytes();
    std::vector<std::pair<void*, std::size_t>> out;
    for (std::size_t size : {1u, 16u, 17u, 100u, 2048u, 2049u, 100'000u}) {
        void* p = frame_pool::allocate(size);
        REQUIRE(reinterpret_cast<std::uintptr_t>(p) % 16 == 0);
        std::memset(p, 0xab, size);
        out.emplace_back(p, size);
        REQUIRE(frame_pool::live() == before + out.size());
    }
    REQUIRE(frame_pool::live_bytes() >= bytes + 1 + 16 + 17 + 100 + 2048 + 2049 + 100'000);
    for (auto [p, size] : out) frame_pool::deallocate(p, size);
    REQUIRE(frame_pool::live() == before);
    REQUIRE(frame_pool::live_bytes() == bytes);
}

TEST_CASE("pieces of all sizes do not overlap") {
    const std::size_t before = frame_pool::live();
    std::mt19937 random(7);
    struct piece {
        unsigned char* at;
        std::size_t size;
        unsigned char mark;
    };
    std::vector<piece> out;
    for (int i = 0; i < 20'000; ++i) {
        if (out.empty() || random() % 5 < 3) {
            const std::size_t size = 1 + random() % 3000;
            const auto mark = static_cast<unsigned char>(random());
            auto* p = static_cast<unsigned char*>(frame_pool::allocate(size));
            std::memset(p, mark, size);
            out.push_back({p, size, mark});
        } else {
            std::swap(out[random() % out.size()], out.back());
            const piece p = out.back();
            out.pop_back();
            REQUIRE(p.at[0] == p.mark);
            REQUIRE(p.at[p.size / 2] == p.mark);
            REQUIRE(p.at[p.size - 1] == p.mark);
            frame_pool::deallocate(p.at, p.size);
        }
    }
    for (const piece& p : out) frame_pool::deallocate(p.at, p.size);
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("a frame freed by another thread goes back to its owner") {
    const std::size_t before = frame_pool::live();
    std::vector<void*> mine;
    for (int i = 0; i < 100; ++i) mine.push_back(frame_pool::allocate(333));
    std::thread other([&] {
        for (void* p : mine) frame_pool::deallocate(p, 333);
        // The other thread does not get them itself.
        void* own = frame_pool::allocate(333);
        for (void* p : mine)
            if (pooled) CHECK(own != p);
        frame_pool::deallocate(own, 333);
    });
    other.join();
    REQUIRE(frame_pool::live() == before);
    std::vector<void*> again;
    std::size_t same = 0;
    for (int i = 0; i < 100; ++i) {
        again.push_back(frame_pool::allocate(333));
        for (void* p : mine) same += p == again.back();
    }
    if (pooled) CHECK(same == 100);
    for (void* p : again) frame_pool::deallocate(p, 333);
}

TEST_CASE("a frame outlives the thread that made it") {
    const std::size_t before = frame_pool::live();
    void* p = nullptr;
    std::thread([&] {
        p = frame_pool::allocate(64);
        std::memset(p, 1, 64);
    }).join();
    REQUIRE(frame_pool::live() == before + 1);
    std::memset(p, 2, 64);
    frame_pool::deallocate(p, 64);
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("frames passed round between threads are all accounted for") {
    const std::size_t before = frame_pool::live();
    constexpr int threads = 4;
    constexpr int rounds = 2000;
    levada::detail::lock guard;
    std::vector<std::pair<void*, std::size_t>> shared;
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t)
        all.emplace_back([&, t] {
            std::mt19937 random(static_cast<unsigned>(t));
            for (int i = 0; i < rounds; ++i) {
                const std::size_t size = 16 + random() % 500;
                void* p = frame_pool::allocate(size);
                std::memset(p, t, size);
                std::pair<void*, std::size_t> other{p, size};
                {
                    levada::detail::lock_guard held(guard);
                    if (shared.size() < 64) {
                        shared.push_back(other);
                        other.first = nullptr;
                    } else {
                        std::swap(shared[random() % shared.size()], other);
                    }
                }
                if (other.first) frame_pool::deallocate(other.first, other.second);
            }
        });
    for (auto& t : all) t.join();
    for (auto [p, size] : shared) frame_pool::deallocate(p, size);
    REQUIRE(frame_pool::live() == before);
}
