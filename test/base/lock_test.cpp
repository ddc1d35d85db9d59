#include <support.hpp>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <thread>
#include <vector>

#include <levada/detail/util/lock.hpp>

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

namespace {

/// From now on the kernel answers membarrier as one that does not know it.
void take_membarrier_away() {
    constexpr auto known = static_cast<std::uint32_t>(SYS_membarrier);
    std::array<sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, known, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog filter{program.size(), program.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0 ||
        ::syscall(SYS_membarrier, 0, 0, 0) != -1 || errno != ENOSYS)
        std::abort();
}

} // namespace

TEST_CASE("where the kernel has no membarrier, a thread that sleeps on a lock still goes on") {
    auto d = test_support::run_to_death([] {
        take_membarrier_away();
        thread_lock l;
        long count = 0;
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                for (int i = 0; i < 50; ++i) {
                    lock_guard guard(l);
                    for (int n = 0; n < 100; ++n)
                        std::this_thread::yield(); // for long: the others go to sleep
                    ++count;
                }
            });
        for (auto& t : threads) t.join();
        if (count != 200) std::abort();
    });
    REQUIRE(!d.aborted);
}
