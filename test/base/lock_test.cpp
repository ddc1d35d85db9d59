#include <support.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include <levada/base/lock.hpp>

using namespace levada::detail;

TEST_CASE("a lock lets one thread in at a time") {
    lock l;
    long count = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 20'000; ++i) {
                lock_guard guard(l);
                ++count;
            }
        });
    for (auto& t : threads) t.join();
    REQUIRE(count == 80'000);
}

TEST_CASE("a thread that sleeps on a lock is woken") {
    lock l;
    std::atomic<bool> began = false;
    bool got = false;
    l.acquire();
    std::thread waiter([&] {
        began = true;
        l.acquire();
        got = true;
        l.release();
    });
    while (!began) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield(); // most likely asleep by now; right in any case
    l.release();
    waiter.join();
    REQUIRE(got);
}

TEST_CASE("a lock held while the first thread starts keeps that thread out") {
    // In a process of its own, which has had one thread only.
    auto d = test_support::run_to_death([] {
        lock l;
        int value = 0;
        l.acquire();
        std::thread other([&] {
            lock_guard guard(l);
            if (value != 1) std::abort();
        });
        for (int i = 0; i < 1000; ++i) std::this_thread::yield();
        value = 1;
        l.release();
        other.join();
    });
    REQUIRE(!d.aborted);
}

TEST_CASE("a reference count says who was last, once") {
    for (int round = 0; round < 200; ++round) {
        ref_count refs(1);
        std::atomic<int> last = 0;
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t) {
            refs.add();
            threads.emplace_back([&] {
                refs.add();
                last += refs.drop();
                last += refs.drop();
            });
        }
        last += refs.drop();
        for (auto& t : threads) t.join();
        REQUIRE(last == 1);
    }
}
