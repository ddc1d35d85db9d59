#include "support.hpp"

#include <levada/channel/select.hpp>
#include <levada/io/descriptor.hpp>
#include <levada/io/signals.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>
#include <levada/task/timeout.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::holds;

namespace {

std::string blocked_now() {
    sigset_t set;
    ::sigemptyset(&set);
    ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
    std::string out;
    for (int s = 1; s < 65; ++s)
        if (::sigismember(&set, s) == 1) out += std::to_string(s) + " ";
    return out;
}

class pipe_ends {
public:
    pipe_ends() {
        if (::pipe(fd) != 0) std::abort();
    }
    ~pipe_ends() {
        ::close(fd[0]);
        if (fd[1] >= 0) ::close(fd[1]);
    }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;
    int fd[2] = {};
};

} // namespace

TEST_CASE("raised signals arrive in the channel instead of having their effect") {
    const std::string before = blocked_now();
    const std::size_t frames = frame_pool::live();
    CHECK(levada::run([]() -> task<> {
              auto signals = signal_channel({SIGUSR1, SIGUSR2});
              std::raise(SIGUSR1); // would end the process
              auto first = co_await signals.recv();
              CHECK(holds(first, SIGUSR1));
              ::kill(::getpid(), SIGUSR2);
              auto second = co_await signals.recv();
              CHECK(holds(second, SIGUSR2));
              go([]() -> task<> {
                  co_await sleep_for(1ms);
                  std::raise(SIGUSR1);
              });
              auto s = co_await select(signals.recv(), after(30s));
              CHECK(s.index() == 0);
          }) == 0);
    CHECK(blocked_now() == before);
    CHECK(frame_pool::live() == frames);
}

TEST_CASE("a number that is no signal throws and changes nothing") {
    const std::string before = blocked_now();
    CHECK(levada::run([&]() -> task<> {
              for (int bad : {0, -1, 65, 1000})
                  CHECK_THROWS_AS(signal_channel({SIGUSR1, bad}), std::system_error);
              CHECK(blocked_now() == before);
              co_return;
          }) == 0);
}

TEST_CASE("the signal mask is as it was after a loop with several signal channels has ended") {
    const std::string before = blocked_now();
    for (bool same : {false, true}) {
        CHECK(levada::run([same]() -> task<> {
                  auto a = signal_channel({SIGUSR1});
                  auto b = same ? signal_channel({SIGUSR1}) : signal_channel({SIGUSR2});
                  co_await this_task::yield();
                  (void)a;
                  (void)b;
              }) == 0);
        CHECK(blocked_now() == before);
        sigset_t none;
        ::sigemptyset(&none);
        ::pthread_sigmask(SIG_SETMASK, &none, nullptr); // for the tests that follow
    }
}

TEST_CASE("what a signal did before is put back when its last channel has gone") {
    static std::atomic<int> mine{0};
    struct sigaction before{}, own{};
    own.sa_handler = [](int) { ++mine; };
    ::sigaction(SIGUSR1, &own, &before);
    CHECK(levada::run([]() -> task<> {
              auto a = signal_channel({SIGUSR1});
              auto b = signal_channel({SIGUSR1, SIGUSR1});
              std::raise(SIGUSR1);
              auto first = co_await a.recv();
              auto second = co_await b.recv();
              CHECK(holds(first, SIGUSR1));
              CHECK(holds(second, SIGUSR1));
          }) == 0);
    CHECK(mine == 0);
    std::raise(SIGUSR1);
    CHECK(mine == 1);
    ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("a signal that cannot be caught throws, and the others of the call are given back") {
    CHECK(levada::run([]() -> task<> {
              CHECK_THROWS_WITH(signal_channel({SIGUSR1, SIGKILL}),
                                Catch::Matchers::ContainsSubstring("signal 9 cannot be caught"));
              struct sigaction now{};
              ::sigaction(SIGUSR1, nullptr, &now);
              CHECK(now.sa_handler == SIG_DFL);
              co_return;
          }) == 0);
}

TEST_CASE("a channel of signals that is made on another loop's thread gets them all the same") {
    const test_support::with_loops unset;
    test_support::expectations all_loops;
    runtime rt({.loops = 3, .eager = true});
    const int code = rt.run([&]() -> task<> {
        // Work to come, since a signal on its way does not count as such.
        go([]() -> task<> { co_await sleep_for(1h); });
        auto h = spawn_on(rt.loop(1), [&]() -> task<> {
            auto signals = signal_channel({SIGUSR1});
            for (int i = 0; i < 10; ++i) {
                ::kill(::getpid(), SIGUSR1);
                auto got = co_await signals.recv();
                all_loops.expect(holds(got, SIGUSR1));
            }
        });
        auto r = co_await h.join();
        all_loops.expect(r);
    });
    CHECK(code == 0);
}

TEST_CASE("a burst of signals beyond the channel's room is dropped and blocks nobody") {
    CHECK(levada::run([]() -> task<> {
              auto signals = signal_channel({SIGRTMIN});
              for (int i = 0; i < 100; ++i) std::raise(SIGRTMIN); // these queue
              co_await sleep_for(1ms);
              int got = 0;
              for (; got < 16; ++got) { // so many have room at least
                  auto one = co_await signals.recv();
                  CHECK(holds(one, SIGRTMIN));
              }
              for (;;) {
                  auto s = co_await select_in_order(signals.recv(), after(5ms));
                  if (s.index() == 1) break;
                  CHECK(holds(s.get<0>(), SIGRTMIN));
                  ++got;
              }
              CHECK(got <= 100);
          }) == 0);
}

TEST_CASE("waiting for a signal alone is no work to come: the program is reported asleep") {
    const auto d = test_support::run_to_death([] {
        __libc_single_threaded = 1;
        const int code = levada::run([]() -> task<> {
            auto signals = signal_channel({SIGUSR1});
            auto s = co_await signals.recv();
            (void)s;
        });
        if (code == 2) std::abort();
    });
    CHECK(d.aborted);
    CHECK(d.says("all tasks are asleep"));
}

TEST_CASE("poll_descriptor tells what a descriptor is ready for, and errors as outcomes") {
    CHECK(levada::run([]() -> task<> {
              pipe_ends p;
              auto writable = co_await poll_descriptor(p.fd[1], POLLOUT);
              CHECK(holds(writable, short(POLLOUT)));
              auto late = co_await with_timeout(2ms, poll_descriptor(p.fd[0], POLLIN));
              CHECK(late.error() == errc::timed_out);
              auto h = spawn(
                  [&]() -> task<result<short>> { co_return co_await poll_descriptor(p.fd[0], POLLIN); });
              co_await test_support::until_parked(h);
              CHECK(::write(p.fd[1], "x", 1) == 1);
              auto readable = co_await h.join();
              CHECK(holds(readable, short(POLLIN)));
              ::close(std::exchange(p.fd[1], -1));
              auto hung_up = co_await poll_descriptor(p.fd[0], POLLIN);
              REQUIRE(hung_up);
              CHECK((*hung_up & POLLHUP) != 0);
              auto bad = co_await poll_descriptor(-1, POLLIN);
              CHECK(bad.error() == std::errc::bad_file_descriptor);
              auto closed = co_await poll_descriptor(1'000'000, POLLIN);
              CHECK(closed.error() == std::errc::bad_file_descriptor);
          }) == 0);
}

TEST_CASE("a poll reads nothing: as a losing arm or cancelled it leaves the bytes where they are") {
    CHECK(levada::run([]() -> task<> {
              pipe_ends p;
              int taken = 0;
              for (int i = 0; i < 200; ++i) {
                  auto h = spawn([&]() -> task<> {
                      auto s = co_await select(poll_descriptor(p.fd[0], POLLIN), after(50us));
                      (void)s;
                  });
                  for (int k = 0; k < i % 4; ++k) co_await this_task::yield();
                  CHECK(::write(p.fd[1], "x", 1) == 1);
                  if (i % 2 == 0) h.cancel();
                  auto r = co_await h.join();
                  (void)r;
                  char c = 0;
                  taken += ::read(p.fd[0], &c, 1) == 1 ? 1 : 0;
              }
              CHECK(taken == 200);
          }) == 0);
}
