#include "support.hpp"

#include <levada/detail/util/timer_queue.hpp>
#include <levada/io/descriptor.hpp>
#include <levada/io/file.hpp>
#include <levada/loop/event_loop.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>

#include <catch2/catch_test_macros.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;

namespace {

class event_fd {
public:
    event_fd() : fd_(::eventfd(0, EFD_CLOEXEC)) {}
    ~event_fd() { ::close(fd_); }
    event_fd(const event_fd&) = delete;
    event_fd& operator=(const event_fd&) = delete;
    [[nodiscard]] int get() const noexcept { return fd_; }
    void raise() const noexcept {
        const std::uint64_t one = 1;
        if (::write(fd_, &one, sizeof(one)) < 0) std::abort();
    }

private:
    int fd_;
};

task<> count_readable(int fd, int& seen) {
    auto events = co_await poll_descriptor(fd, POLLIN);
    if (events && (*events & POLLIN) != 0) ++seen;
}

class ticked final : public detail::timer_node {
public:
    static inline std::vector<time_point>* fired = nullptr;

private:
    void fire() noexcept override { fired->push_back(deadline()); }
};

} // namespace

TEST_CASE("a thousand operations at once, more than the submission queue holds, are all carried out") {
    const std::size_t frames = frame_pool::live();
    CHECK(levada::run([]() -> task<> {
              event_fd e;
              int seen = 0;
              wait_group wg;
              for (int i = 0; i < 1000; ++i) wg.go(count_readable, e.get(), std::ref(seen));
              co_await this_task::yield();
              e.raise();
              co_await wg.wait();
              CHECK(seen == 1000);
          }) == 0);
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("a thousand reads of one file at once each get their own bytes") {
    CHECK(levada::run([]() -> task<> {
              auto opened = co_await file::open("/proc/self/exe");
              REQUIRE(opened);
              const file& f = *opened;
              std::string head(64 * 1000, '\0');
              auto n = co_await f.read_at(0, std::span<char>(head));
              REQUIRE(test_support::holds(n, head.size()));
              int same = 0;
              wait_group wg;
              for (std::size_t i = 0; i < 1000; ++i) {
                  wg.go([&, i]() -> task<> {
                      std::array<char, 64> part{};
                      auto r = co_await f.read_at(i * 64, std::span<char>(part));
                      if (test_support::holds(r, part.size()) &&
                          std::equal(part.begin(), part.end(), head.begin() + static_cast<long>(i * 64)))
                          ++same;
                  });
              }
              co_await wg.wait();
              CHECK(same == 1000);
          }) == 0);
}

TEST_CASE("more completions at once than the completion queue holds lose nothing") {
    const std::size_t frames = frame_pool::live();
    CHECK(levada::run([]() -> task<> {
              constexpr int many = 9000;
              event_fd e;
              int seen = 0;
              auto& loop = static_cast<event_loop&>(*executor::current());
              wait_group wg;
              for (int i = 0; i < many; ++i) wg.go(count_readable, e.get(), std::ref(seen));
              while (loop.in_flight() < many) co_await this_task::yield();
              e.raise();
              co_await wg.wait();
              CHECK(seen == many);
              CHECK(loop.in_flight() == 0);
          }) == 0);
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("thousands of operations cancelled at once are all taken back, in the kernel or still queued") {
    const std::size_t frames = frame_pool::live();
    for (int turns : {0, 1, 30}) {
        INFO("after " << turns << " turns");
        CHECK(levada::run([turns]() -> task<> {
                  event_fd e;
                  int seen = 0;
                  auto& loop = static_cast<event_loop&>(*executor::current());
                  std::vector<join_handle<>> all;
                  for (int i = 0; i < 6000; ++i)
                      all.push_back(spawn(count_readable, e.get(), std::ref(seen)));
                  for (int i = 0; i < turns; ++i) co_await this_task::yield();
                  for (auto& h : all) h.cancel();
                  int cancelled = 0;
                  for (auto& h : all) {
                      auto r = co_await h.join();
                      cancelled += r.error() == errc::cancelled ? 1 : 0;
                  }
                  CHECK(cancelled == 6000);
                  CHECK(seen == 0);
                  CHECK(loop.in_flight() == 0);
              }) == 0);
    }
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("operations that complete while they are cancelled return or are taken back, and all end") {
    CHECK(levada::run([]() -> task<> {
              event_fd e;
              int seen = 0;
              std::vector<join_handle<>> all;
              for (int i = 0; i < 3000; ++i) all.push_back(spawn(count_readable, e.get(), std::ref(seen)));
              for (int i = 0; i < 50; ++i) co_await this_task::yield();
              e.raise();
              for (auto& h : all) h.cancel();
              int returned = 0;
              for (auto& h : all) {
                  auto r = co_await h.join();
                  returned += r ? 1 : 0;
              }
              CHECK(returned == seen);
          }) == 0);
}

TEST_CASE("a million timers fire in the order of their deadlines, none early") {
    constexpr std::size_t million = 1'000'000;
    std::vector<time_point> fired;
    fired.reserve(million);
    ticked::fired = &fired;
    const auto timers = std::make_unique<ticked[]>(million);
    event_loop loop;
    const time_point start = loop.now();
    std::uint64_t x = 88172645463325252u;
    for (std::size_t i = 0; i < million; ++i) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        loop.add_timer(timers[i], start + std::chrono::nanoseconds(x % 50'000'000));
    }
    loop.go([&]() -> task<> {
        co_await sleep_until(start + 50ms);
        while (fired.size() < million) co_await this_task::yield(); // where it took so long to arm them
    });
    loop.run();
    CHECK(loop.now() - start >= 50ms);
    CHECK(fired.size() == million);
    CHECK(std::is_sorted(fired.begin(), fired.end()));
}

TEST_CASE("ten thousand sleeping tasks wake in order, each no earlier than it asked") {
    CHECK(levada::run([]() -> task<> {
              int early = 0;
              std::vector<time_point> woken;
              const auto start = now();
              wait_group wg;
              for (int i = 0; i < 10'000; ++i) {
                  const auto at = start + std::chrono::microseconds((i * 7919) % 20'000);
                  wg.go([&, at]() -> task<> {
                      co_await sleep_until(at);
                      early += now() < at ? 1 : 0;
                      woken.push_back(at);
                  });
              }
              co_await wg.wait();
              CHECK(early == 0);
              CHECK(woken.size() == 10'000);
          }) == 0);
}

TEST_CASE("a rain of signals interrupts the loop's sleeps and hurts nobody") {
    struct sigaction ignore_it{};
    ignore_it.sa_handler = [](int) {};
    struct sigaction before{};
    REQUIRE(::sigaction(SIGALRM, &ignore_it, &before) == 0);
    const ::itimerval rain{{0, 500}, {0, 500}};
    const ::itimerval dry{};
    REQUIRE(::setitimer(ITIMER_REAL, &rain, nullptr) == 0);
    const int code = levada::run([]() -> task<> {
        for (int i = 0; i < 20; ++i) {
            const auto start = now();
            co_await sleep_for(2ms);
            CHECK(now() - start >= 2ms);
            auto text = co_await read_file("/proc/self/status");
            CHECK(text);
        }
    });
    REQUIRE(::setitimer(ITIMER_REAL, &dry, nullptr) == 0);
    REQUIRE(::sigaction(SIGALRM, &before, nullptr) == 0);
    CHECK(code == 0);
}
