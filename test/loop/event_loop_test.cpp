#include "support.hpp"

#include <levada/cancel/source.hpp>
#include <levada/channel/channel.hpp>
#include <levada/io/descriptor.hpp>
#include <levada/loop/event_loop.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/shield.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/with_token.hpp>

#include <catch2/catch_test_macros.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
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

task<> wait_readable(int fd, bool& seen) {
    auto events = co_await poll_descriptor(fd, POLLIN);
    seen = events.has_value() && (*events & POLLIN) != 0;
}

/// Whether `f()` comes to its end in a process of its own within half a minute.
template <class F>
bool comes_to_an_end(const F& f) {
    const ::pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::signal(SIGABRT, SIG_DFL);
        ::alarm(30);
        f();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

} // namespace

TEST_CASE("run returns when no task lives on the loop and nothing is posted, and can be called again") {
    const std::size_t frames = frame_pool::live();
    {
        event_loop loop;
        loop.run();
        int ran = 0;
        for (int round = 1; round <= 3; ++round) {
            loop.go([&]() -> task<> {
                for (int i = 0; i < 3; ++i) co_await this_task::yield();
                co_await sleep_for(1ms);
                ++ran;
            });
            loop.post([&] { ++ran; });
            CHECK(ran == 2 * (round - 1)); // nothing runs inline
            loop.run();
            CHECK(ran == 2 * round);
        }
    }
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("a task spawned on a loop from outside can be joined by another that runs there") {
    event_loop loop;
    int got = 0;
    auto h = loop.spawn([](int x) -> task<int> { co_return x + 1; }, 41);
    loop.go([&]() -> task<> {
        auto r = co_await h.join();
        got = r.value_or(0);
    });
    loop.run();
    CHECK(got == 42);
}

TEST_CASE("poll never sleeps and says whether anything was done") {
    event_loop loop;
    CHECK_FALSE(loop.poll());
    int ran = 0;
    loop.post([&] { ++ran; });
    CHECK(loop.poll());
    CHECK(ran == 1);
    CHECK_FALSE(loop.poll());
    loop.go([]() -> task<> { co_await sleep_for(1h); });
    (void)loop.poll();
    const auto before = std::chrono::steady_clock::now();
    for (int i = 0; i < 100; ++i) CHECK_FALSE(loop.poll());
    CHECK(std::chrono::steady_clock::now() - before < 1h);
}

TEST_CASE("run_once sleeps for its timeout at least when nothing comes, and wakes for a timer before that") {
    event_loop loop;
    auto before = std::chrono::steady_clock::now();
    CHECK_FALSE(loop.run_once(5ms));
    CHECK(std::chrono::steady_clock::now() - before >= 5ms);
    bool woke = false;
    loop.go([&]() -> task<> {
        co_await sleep_for(3ms);
        woke = true;
    });
    before = std::chrono::steady_clock::now();
    while (!woke) (void)loop.run_once(1h);
    CHECK(std::chrono::steady_clock::now() - before >= 3ms);
}

TEST_CASE("stop ends run between two turns, and the next run goes on where it was") {
    event_loop loop;
    int steps = 0;
    loop.go([&]() -> task<> {
        while (steps < 100'000) {
            if (++steps == 5) loop.stop();
            co_await this_task::yield();
        }
    });
    loop.run();
    CHECK(steps >= 5);
    CHECK(steps < 100'000);
    loop.run();
    CHECK(steps == 100'000);
}

TEST_CASE("stop from another thread wakes a loop that sleeps") {
    const std::size_t frames = frame_pool::live();
    {
        event_loop loop;
        loop.go([]() -> task<> { co_await sleep_for(24h); });
        std::atomic<bool> returned = false;
        std::thread other([&] {
            while (!returned) { // one that comes before run() begins does not count
                loop.stop();
                std::this_thread::yield();
            }
        });
        loop.run();
        returned = true;
        other.join();
    }
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("poll and run_once still see the kernel's completions after a stop") {
    CHECK(comes_to_an_end([] {
        for (bool while_it_runs : {true, false}) {
            event_fd e;
            event_loop loop;
            bool seen = false;
            loop.go(wait_readable, e.get(), std::ref(seen));
            (void)loop.poll();
            if (while_it_runs) {
                loop.post([&] { loop.stop(); });
                loop.run();
            } else {
                loop.stop();
            }
            e.raise();
            while (!seen) (void)loop.run_once(1ms);
        }
    }));
}

TEST_CASE("a stopped loop can be destroyed while a shielded task waits for the kernel") {
    CHECK(comes_to_an_end([] {
        event_fd e;
        bool seen = false;
        {
            event_loop loop;
            loop.go([&]() -> task<> { co_await shield(wait_readable, e.get(), std::ref(seen)); });
            loop.go([&]() -> task<> {
                co_await shield([]() -> task<> { co_await sleep_for(5ms); });
                e.raise();
            });
            loop.post([&] { loop.stop(); });
            loop.run();
        }
        if (!seen) std::abort();
    }));
}

TEST_CASE("a loop that was made on one thread runs on another") {
    const std::size_t frames = frame_pool::live();
    auto loop = std::make_unique<event_loop>();
    event_fd e;
    bool seen = false;
    bool slept = false;
    loop->go(wait_readable, e.get(), std::ref(seen));
    loop->go([&]() -> task<> {
        co_await sleep_for(1ms);
        slept = true;
    });
    e.raise();
    std::thread runner([&] {
        loop->run();
        loop.reset();
    });
    runner.join();
    CHECK(seen);
    CHECK(slept);
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("a loop that ran on a thread which is gone is destroyed by the thread that made it") {
    CHECK(comes_to_an_end([] {
        event_loop loop;
        loop.go([]() -> task<> { co_await sleep_for(1ms); });
        std::thread([&] { loop.run(); }).join();
    }));
}

TEST_CASE("what four threads post runs once each, in the order of each thread") {
    constexpr int each = 10'000;
    constexpr int threads = 4;
    event_loop loop;
    channel<void> all(1);
    std::vector<int> last(threads, -1);
    int ran = 0;
    bool in_order = true;
    loop.go([&]() -> task<> {
        auto r = co_await all.recv();
        (void)r;
    });
    std::vector<std::thread> posters;
    for (int t = 0; t < threads; ++t) {
        posters.emplace_back([&, t] {
            for (int i = 0; i < each; ++i) {
                loop.post([&, t, i] {
                    in_order = in_order && last[t] == i - 1 && executor::current() == &loop;
                    last[t] = i;
                    if (++ran == threads * each) {
                        auto sent = all.try_send();
                        (void)sent;
                    }
                });
            }
        });
    }
    loop.run();
    for (auto& p : posters) p.join();
    CHECK(ran == threads * each);
    CHECK(in_order);
}

TEST_CASE("a loop that sleeps, or is about to, is woken by every single post") {
    event_loop loop;
    channel<void> end(1);
    loop.go([&]() -> task<> {
        auto r = co_await end.recv();
        (void)r;
    });
    std::atomic<int> answered = 0;
    std::thread poster([&] {
        for (int i = 1; i <= 2000; ++i) {
            loop.post([&, i] { answered = i; });
            while (answered != i) std::this_thread::yield(); // a lost wake hangs here
        }
        loop.post([&] {
            auto sent = end.try_send();
            (void)sent;
        });
    });
    loop.run();
    poster.join();
    CHECK(answered == 2000);
}

TEST_CASE("a token cancelled from another thread ends a sleep, whenever it comes") {
    constexpr int rounds = 1000;
    std::vector<cancel_source> sources(rounds);
    std::atomic<int> at = -1;
    std::thread canceller([&] {
        for (int i = 0; i < rounds; ++i) {
            while (at < i) std::this_thread::yield();
            sources[static_cast<std::size_t>(i)].cancel();
        }
    });
    int ended = 0;
    event_loop loop;
    loop.go([&]() -> task<> {
        for (int i = 0; i < rounds; ++i) {
            at = i;
            auto r = co_await with_token(sources[static_cast<std::size_t>(i)].token(), sleep_for(24h));
            ended += r.error() == errc::cancelled ? 1 : 0;
        }
    });
    loop.run();
    canceller.join();
    CHECK(ended == rounds);
}

TEST_CASE("a thread's send_blocking and recv_blocking meet the tasks of a loop, and nothing is lost") {
    channel<int> there;
    channel<int> back;
    int wrong = 0;
    std::thread outside([&] {
        for (int i = 0; i < 2000; ++i) {
            auto sent = there.send_blocking(i);
            auto got = back.recv_blocking();
            wrong += sent && got && *got == i + 1 ? 0 : 1;
        }
        there.close();
    });
    event_loop loop;
    loop.go([&]() -> task<> {
        while (auto v = co_await there.recv()) {
            auto sent = co_await back.send(*v + 1);
            if (!sent) co_return;
        }
    });
    loop.run();
    outside.join();
    CHECK(wrong == 0);
}

TEST_CASE("a task that is always busy starves neither timers nor the kernel's operations") {
    for (bool by_yield : {true, false}) {
        INFO((by_yield ? "it yields" : "its operations are always ready"));
        event_fd e;
        bool readable = false;
        bool slept = false;
        event_loop loop;
        loop.go([&]() -> task<> {
            channel<int> ch(1);
            const auto give_up = now() + 30s;
            while (!(readable && slept) && now() < give_up) {
                if (by_yield) {
                    co_await this_task::yield();
                } else {
                    auto sent = co_await ch.send(1);
                    auto got = co_await ch.recv();
                    (void)sent;
                    (void)got;
                }
            }
            loop.stop(); // the others may wait for ever
        });
        loop.go(wait_readable, e.get(), std::ref(readable));
        loop.go([&]() -> task<> {
            co_await sleep_for(2ms);
            slept = true;
            e.raise();
        });
        loop.run();
        CHECK(slept);
        CHECK(readable);
    }
}

TEST_CASE("in_flight counts the operations that the kernel has, and no others") {
    event_fd e;
    event_loop loop;
    CHECK(loop.in_flight() == 0);
    bool seen[3] = {};
    int begun = 0;
    for (bool& s : seen)
        loop.go([&]() -> task<> {
            ++begun;
            co_await wait_readable(e.get(), s);
        });
    loop.go([&]() -> task<> {
        ++begun;
        co_await sleep_for(1ms);
    });
    while (begun < 4) (void)loop.poll();
    CHECK(loop.in_flight() == 3);
    e.raise();
    loop.run();
    CHECK(loop.in_flight() == 0);
    CHECK((seen[0] && seen[1] && seen[2]));
}
