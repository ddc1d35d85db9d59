#include <support.hpp>

#ifndef LEVADA_UNDER_TSAN // which has an operator new of its own, and suffers no other

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/latch.hpp>
#include <levada/sync/mutex.hpp>
#include <levada/sync/semaphore.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>

#include <malloc.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>
#include <vector>

// This program's operator new counts, on all threads: all allocations, and the bytes that are live.

namespace {

std::atomic<std::size_t> allocations{0};
std::atomic<std::size_t> live_bytes{0};

void* counted(void* p) {
    if (!p) throw std::bad_alloc();
    allocations.fetch_add(1, std::memory_order_relaxed);
    live_bytes.fetch_add(::malloc_usable_size(p), std::memory_order_relaxed);
    return p;
}
void uncounted(void* p) noexcept {
    if (!p) return;
    live_bytes.fetch_sub(::malloc_usable_size(p), std::memory_order_relaxed);
    std::free(p);
}
void* aligned(std::size_t size, std::align_val_t a) {
    const auto al = static_cast<std::size_t>(a);
    return counted(std::aligned_alloc(al, (size + al - 1) / al * al));
}

} // namespace

void* operator new(std::size_t size) { return counted(std::malloc(size ? size : 1)); }
void* operator new[](std::size_t size) { return counted(std::malloc(size ? size : 1)); }
void* operator new(std::size_t size, std::align_val_t a) { return aligned(size, a); }
void* operator new[](std::size_t size, std::align_val_t a) { return aligned(size, a); }
void operator delete(void* p) noexcept { uncounted(p); }
void operator delete[](void* p) noexcept { uncounted(p); }
void operator delete(void* p, std::size_t) noexcept { uncounted(p); }
void operator delete[](void* p, std::size_t) noexcept { uncounted(p); }
void operator delete(void* p, std::align_val_t) noexcept { uncounted(p); }
void operator delete[](void* p, std::align_val_t) noexcept { uncounted(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { uncounted(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { uncounted(p); }

using namespace levada;
using namespace std::chrono_literals;

namespace {

auto settle() { return sleep_for(1ms); }

constexpr int rounds = 200;

/// A loop's own lists grow to their size.
task<> warm_up() {
    wait_group wg;
    for (int i = 0; i < 64; ++i) wg.go([]() -> task<> { co_await settle(); });
    co_await wg.wait();
}

/// Sends until closed.
task<> pump(channel<int> to) {
    for (int i = 0;; ++i) {
        auto r = co_await to.send(i);
        if (!r) co_return;
    }
}

} // namespace

TEST_TASK_ALONE("this program counts what it allocates") {
    const auto before = allocations.load();
    auto p = std::make_unique<int>(1);
    CHECK(allocations - before >= 1);
    co_await settle();
}

TEST_TASK_ALONE("a send and a receive allocate nothing, whether they meet, wait or find room") {
    co_await warm_up();
    for (std::size_t capacity : {0u, 1u, 64u}) {
        channel<int> ch(capacity);
        wait_group wg;
        wg.go(pump, ch);
        for (int i = 0; i < rounds; ++i) (void)co_await ch.recv();
        const auto before = allocations.load();
        int bad = 0;
        for (int i = 0; i < rounds; ++i) {
            auto r = co_await ch.recv();
            bad += *r != rounds + i;
        }
        const auto made = allocations - before;
        CHECK(made == 0);
        CHECK(bad == 0);
        ch.close();
        co_await wg.wait();
    }
}

TEST_TASK_ALONE("try_send, try_recv and permits allocate nothing") {
    channel<std::unique_ptr<int>> ch(2);
    auto v = std::make_unique<int>(1);
    const auto before = allocations.load();
    for (int i = 0; i < rounds; ++i) {
        (void)ch.try_send(std::move(v));
        v = std::move(*ch.try_recv());
        auto p = co_await ch.reserve();
        (void)p->send(std::move(v));
        auto q = co_await ch.reserve();
        v = std::move(*ch.try_recv());
    }
    const auto made = allocations - before;
    CHECK(made == 0);
}

TEST_TASK_ALONE("a select that finds an arm ready allocates nothing") {
    channel<int> a(1), b(1), c(1), d(1);
    REQUIRE(a.try_send(1));
    const auto before = allocations.load();
    for (int i = 0; i < rounds; ++i) {
        (void)co_await select(a.recv(), b.recv(), c.recv(), d.recv(), after(1h));
        (void)co_await select(a.send(1), otherwise);
        (void)co_await select_in_order(b.recv(), c.send(2), otherwise);
        (void)c.try_recv();
        (void)co_await select(b.recv(), b.recv(), otherwise);
    }
    const auto made = allocations - before;
    CHECK(made == 0);
}

TEST_TASK_ALONE("a select that parks on eight arms allocates nothing") {
    co_await warm_up();
    std::vector<channel<int>> ch(6);
    wait_group wg;
    for (auto& c : ch) wg.go(pump, c);
    for (auto& c : ch) (void)co_await c.recv(); // they have begun
    std::size_t made = 0;
    for (int warm = 0; warm < 2; ++warm) {
        const auto before = allocations.load();
        for (int i = 0; i < rounds; ++i) {
            auto s = co_await select(ch[0].recv(), ch[1].recv(), ch[2].recv(), ch[3].recv(), ch[4].recv(),
                                     ch[5].recv(), after(1h), ch[0].send(1));
        }
        made = allocations - before;
    }
    CHECK(made == 0);
    for (auto& c : ch) c.close();
    co_await wg.wait();
}

TEST_TASK_ALONE("a select_range over eight arms allocates nothing, on its own and as an arm") {
    co_await warm_up();
    std::vector<channel<int>> ch(8);
    wait_group wg;
    for (auto& c : ch) wg.go(pump, c);
    for (auto& c : ch) (void)co_await c.recv(); // they have begun
    std::vector<detail::recv_op<int>> arms;
    arms.reserve(8);
    std::size_t made = 0;
    for (int warm = 0; warm < 2; ++warm) {
        const auto before = allocations.load();
        for (int i = 0; i < rounds; ++i) {
            arms.clear();
            for (auto& c : ch) arms.push_back(c.recv());
            auto s = co_await select_range(arms);
            arms.clear();
            for (int k = 0; k < 7; ++k) arms.push_back(ch[static_cast<std::size_t>(k)].recv());
            auto t = co_await select(select_range(arms), after(1h));
        }
        made = allocations - before;
    }
    CHECK(made == 0);
    for (auto& c : ch) c.close();
    co_await wg.wait();
}

TEST_TASK_ALONE("with_timeout around an operation, and a sleep, allocate nothing") {
    co_await warm_up();
    channel<int> ch;
    co_await sleep_for(1us);
    const auto before = allocations.load();
    for (int i = 0; i < 5; ++i) {
        auto r = co_await with_timeout(1us, ch.recv());
        co_await sleep_for(1us);
    }
    const auto made = allocations - before;
    CHECK(made == 0);
}

TEST_TASK_ALONE("mutex, semaphore, event and latch allocate nothing, whether they wait or not") {
    co_await warm_up();
    mutex m;
    semaphore s(1);
    event e;
    wait_group wg;
    std::size_t made = 0;
    bool stop = false;
    wg.go([&]() -> task<> { // holds both most of the time
        while (!stop) {
            auto guard = co_await m.lock();
            auto permit = co_await s.acquire();
            e.set();
            co_await this_task::yield();
            e.reset();
        }
    });
    for (int warm = 0; warm < 2; ++warm) {
        const auto before = allocations.load();
        for (int i = 0; i < rounds; ++i) {
            latch l(1);
            {
                auto guard = co_await m.lock();
            }
            {
                auto permit = co_await s.acquire();
            }
            co_await e.wait();
            auto chosen = co_await select(m.lock(), s.acquire(), e.wait(), l.wait(), after(1h));
            co_await l.arrive_and_wait();
            (void)m.try_lock();
            (void)s.try_acquire();
        }
        made = allocations - before;
    }
    CHECK(made == 0);
    stop = true;
    co_await wg.wait();
}

TEST_CASE("an unbounded channel that held a million values and was drained keeps one block at most") {
    auto ch = channel<int>::unbounded();
    const auto before = live_bytes.load();
    for (int round = 0; round < 2; ++round) {
        bool ok = true;
        for (int i = 0; i < 1'000'000; ++i) ok &= ch.try_send(i).has_value();
        CHECK(live_bytes - before >= 4'000'000);
        for (int i = 0; i < 1'000'000; ++i) ok &= ch.try_recv().value() == i;
        CHECK(ok);
        CHECK(live_bytes - before <= 4096 + 64);
    }
}

TEST_CASE("an unbounded channel that is never far from empty goes round in its block") {
    auto ch = channel<int>::unbounded();
    REQUIRE(ch.try_send(0));
    const auto before = allocations.load();
    bool ok = true;
    for (int i = 0; i < 100'000; ++i) {
        ok &= ch.try_recv().value() == i;
        ok &= ch.try_send(i + 1).has_value();
    }
    const auto made = allocations - before;
    CHECK(ok);
    CHECK(made == 0);
}

#endif
