#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/detail/task/handle_access.hpp>
#include <levada/io/descriptor.hpp>
#include <levada/loop/run.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/defer.hpp>
#include <levada/task/shield.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <poll.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

using namespace levada;
using namespace std::chrono_literals;
using test_support::mourner;

namespace {

/// Lives with the frame of a task that waits for ever.
task<> wait_for_ever(mourner m, channel<int> ch) {
    (void)m;
    auto r = co_await ch.recv();
    (void)r;
}
task<> sleep_for_ever(mourner m) {
    (void)m;
    co_await sleep_for(24h);
}
task<> poll_for_ever(mourner m, int fd) {
    (void)m;
    auto r = co_await poll_descriptor(fd, POLLIN);
    (void)r;
}

class pipe_ends {
public:
    pipe_ends() {
        if (::pipe(fd) != 0) std::abort();
    }
    ~pipe_ends() {
        ::close(fd[0]);
        ::close(fd[1]);
    }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;
    int fd[2] = {};
};

} // namespace

TEST_CASE("run gives 0 for a main that gives nothing, and the number that main gives") {
    CHECK(levada::run([]() -> task<> { co_return; }) == 0);
    CHECK(levada::run([]() -> task<int> { co_return 7; }) == 7);
    CHECK(levada::run([] {}) == 0);
    CHECK(levada::run([] { return 9; }) == 9);
    CHECK(levada::run([](std::unique_ptr<int> p, int x) -> task<int> { co_return *p + x; },
                      std::make_unique<int>(40), 2) == 42);
}

TEST_CASE("an exception of main comes out of run after what is left was cancelled and joined") {
    const std::size_t frames = frame_pool::live();
    std::string log;
    CHECK_THROWS_WITH(levada::run([&]() -> task<> {
                          go(sleep_for_ever, mourner(log, 'a'));
                          co_await this_task::yield();
                          throw std::runtime_error("out of main");
                      }),
                      "out of main");
    CHECK(log == "a");
    CHECK_THROWS_WITH(levada::run([]() -> int { throw std::runtime_error("plain"); }), "plain");
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("what is left when main ends is cancelled and joined, whatever it waits for") {
    const std::size_t frames = frame_pool::live();
    pipe_ends p;
    std::string log;
    const int code = levada::run([&]() -> task<int> {
        channel<int> ch;
        go(wait_for_ever, mourner(log, 'a'), ch);
        go(sleep_for_ever, mourner(log, 'b'));
        go(poll_for_ever, mourner(log, 'c'), p.fd[0]);
        auto h = spawn(poll_for_ever, mourner(log, 'd'), p.fd[0]);
        h.detach();
        co_await this_task::yield();
        go(sleep_for_ever, mourner(log, 'e')); // does not run before main has ended
        co_return 5;
    });
    CHECK(code == 5);
    std::sort(log.begin(), log.end());
    CHECK(log == "abcde");
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("tasks that are started while the others are shut down are joined too, again and again") {
    std::string log;
    struct chain {
        static task<> link(std::string& to, int left) {
            defer next([&to, left] {
                to.push_back(static_cast<char>('0' + left));
                if (left != 0) go(link, std::ref(to), left - 1);
            });
            co_await sleep_for(24h);
        }
    };
    CHECK(levada::run([&]() -> task<> {
              go(chain::link, std::ref(log), 9);
              co_return;
          }) == 0);
    CHECK(log == "9876543210");
}

TEST_CASE("what the unwinding tasks still have to finish under a shield is finished before run returns") {
    bool finished = false;
    CHECK(levada::run([&]() -> task<> {
              go([&]() -> task<> {
                  co_await shield([&]() -> task<> {
                      co_await sleep_for(3ms);
                      finished = true;
                  });
              });
              co_await this_task::yield();
          }) == 0);
    CHECK(finished);
}

TEST_CASE("when all tasks are asleep they are listed on stderr and the code is 2") {
    const auto d = test_support::run_to_death([] {
        __libc_single_threaded = 1; // earlier tests had threads, this process has none
        const int code = levada::run([]() -> task<int> {
            this_task::name("the sleeper");
            channel<int> ch;
            auto r = co_await ch.recv();
            co_return r ? 0 : 1;
        });
        if (code == 2) std::abort();
    });
    CHECK(d.aborted); // that is: the code was 2
    CHECK(d.says("all tasks are asleep"));
    CHECK(d.says("the sleeper"));
    CHECK(d.says("run_test.cpp"));
    CHECK(d.says("recv"));
}

TEST_CASE("a task that waits for a timer or the kernel is not asleep for ever") {
    pipe_ends p;
    const auto d = test_support::run_to_death([&] {
        __libc_single_threaded = 1;
        const int code = levada::run([&]() -> task<int> {
            channel<int> ch;
            go([&]() -> task<> {
                auto ready = co_await poll_descriptor(p.fd[0], POLLIN);
                auto sent = co_await ch.send(ready ? 1 : 0);
                (void)sent;
            });
            go([&]() -> task<> {
                co_await sleep_for(2ms);
                if (::write(p.fd[1], "x", 1) != 1) std::abort();
            });
            auto r = co_await ch.recv();
            co_return r.value_or(0) == 1 ? 7 : 8;
        });
        if (code == 7) std::abort();
    });
    CHECK(d.aborted);
    CHECK(d.said == "");
}

TEST_CASE("run on a loop's own thread terminates and says what to do") {
    const auto d = test_support::run_to_death([] {
        (void)levada::run([]() -> task<> {
            (void)levada::run([] {});
            co_return;
        });
    });
    CHECK(d.aborted);
    CHECK(d.says("own thread"));
    const auto e = test_support::run_to_death([] {
        event_loop outer;
        outer.post([&] { outer.run(); });
        outer.run();
    });
    CHECK(e.aborted);
    CHECK(e.says("own thread"));
}

TEST_CASE("a shutdown that takes longer than its limit aborts and lists what still runs") {
    const auto d = test_support::run_to_death([] {
        event_loop loop;
        event named;
        auto main = loop.spawn([&named]() -> task<> { co_await named.wait(); });
        loop.go([&named]() -> task<> {
            this_task::name("the stubborn");
            named.set();
            co_await shield([]() -> task<> { co_await sleep_for(24h); });
        });
        (void)loop.run_main(levada::detail::handle_access::block(main), 20ms);
    });
    CHECK(d.aborted);
    CHECK(d.says("longer than its limit"));
    CHECK(d.says("the stubborn"));
}

TEST_CASE("an exception from a task that nobody joins terminates, with its name and what it says") {
    const auto d = test_support::run_to_death([] {
        (void)levada::run([]() -> task<> {
            go([]() -> task<> {
                this_task::name("the thrower");
                co_await sleep_for(1ms);
                throw std::runtime_error("nobody hears this");
            });
            co_await sleep_for(24h);
        });
    });
    CHECK(d.aborted);
    CHECK(d.says("nobody hears this"));
    CHECK(d.says("the thrower"));
}

TEST_CASE("a kernel operation on a loop without a ring terminates and says what it needs") {
    const auto d = test_support::run_task_to_death([]() -> task<> {
        auto r = co_await poll_descriptor(0, POLLIN);
        (void)r;
    });
    CHECK(d.aborted);
    CHECK(d.says("event_loop"));
}

TEST_CASE("destroying a loop with parked tasks and operations in flight frees all") {
    pipe_ends p;
    for (bool threads : {false, true}) {
        for (int turns = 0; turns < 4; ++turns) {
            INFO("after " << turns << " turns" << (threads ? ", with real atomics" : ""));
            std::optional<test_support::as_if_threads_ran> real_atomics;
            if (threads) real_atomics.emplace();
            const std::size_t frames = frame_pool::live();
            std::string log;
            {
                channel<int> ch;
                event_loop loop;
                loop.go(wait_for_ever, mourner(log, 'a'), ch);
                loop.go(sleep_for_ever, mourner(log, 'b'));
                for (int i = 0; i < 300; ++i) loop.go(poll_for_ever, mourner(log, 'c'), p.fd[0]);
                for (int i = 0; i < turns; ++i) (void)loop.poll();
            }
            CHECK(log.size() == 302);
            CHECK(frame_pool::live() == frames);
        }
    }
}

TEST_CASE("a function that was posted to a loop which never ran goes with the loop") {
    for (bool threads : {false, true}) {
        INFO((threads ? "with threads" : "without threads"));
        std::optional<test_support::as_if_threads_ran> real_atomics;
        if (threads) real_atomics.emplace();
        auto owned = std::make_shared<int>(1);
        const std::weak_ptr<int> left = owned;
        {
            event_loop loop;
            loop.post([o = std::move(owned)] { (void)o; });
        }
        CHECK(left.expired());
    }
}
