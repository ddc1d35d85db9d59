// A loop that another one drives: it polls fd(), and calls poll() when that is readable.

#include "pipe_ends.hpp"

#include <support.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::holds;

namespace {

bool readable(int fd, int ms = 0) {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, ms) == 1;
}

/// As a host does: sleeps on the descriptor, and lets the loop have its turn. False when that took too long.
template <class F>
bool drive(event_loop& loop, const F& until) {
    const int fd = loop.fd();
    for (int turns = 0; !until(); ++turns) {
        if (turns > 100'000 || !readable(fd, 60'000)) return false;
        static_cast<void>(loop.poll());
    }
    return true;
}

/// The kernel may tell of a completion some ms after it was taken, so there may be turns with nothing to do.
bool goes_dark(event_loop& loop) {
    for (int turns = 0; turns < 100; ++turns) {
        if (!readable(loop.fd(), 5)) return true;
        static_cast<void>(loop.poll());
    }
    return false;
}

} // namespace

TEST_CASE(
    "the descriptor of a loop is dark while there is nothing to do, and stays readable until the turn") {
    event_loop loop;
    const int fd = loop.fd();
    CHECK(fd == loop.fd());
    CHECK(goes_dark(loop));
    int ran = 0;
    loop.go([&] { ++ran; });
    CHECK(readable(fd));
    CHECK(readable(fd)); // until the turn
    CHECK(loop.poll());
    CHECK(ran == 1);
    while (readable(fd)) static_cast<void>(loop.poll());
    loop.post([&] { ++ran; });
    CHECK(readable(fd));
    CHECK(drive(loop, [&] { return ran == 2; }));
}

TEST_CASE(
    "a host that sleeps on the descriptor is woken by timers, the kernel, other threads and its own sends") {
    event_loop loop;
    static_cast<void>(loop.fd());
    pipe_ends p;
    channel<int> ch;
    bool slept = false, polled = false, received = false;
    loop.go([&]() -> task<> {
        co_await sleep_for(5ms);
        slept = true;
    });
    loop.go([&]() -> task<> {
        auto r = co_await poll_descriptor(p.fd[0], POLLIN);
        polled = holds(r, short(POLLIN));
    });
    loop.go([&]() -> task<> {
        auto v = co_await ch.recv();
        received = holds(v, 7);
    });
    CHECK(drive(loop, [&] { return slept; }));
    CHECK(::write(p.fd[1], "x", 1) == 1);
    CHECK(drive(loop, [&] { return polled; }));
    static_cast<void>(loop.poll());
    CHECK(ch.try_send(7)); // by the host, on the loop's thread, outside of a turn
    CHECK(readable(loop.fd()));
    CHECK(drive(loop, [&] { return received; }));

    std::atomic<bool> posted = false;
    std::thread other([&] { loop.post([&] { posted = true; }); });
    CHECK(drive(loop, [&] { return posted.load(); }));
    other.join();
    CHECK(loop.in_flight() == 0);
}

TEST_CASE("an eventfd that a task polls wakes the host, though the kernel tells of it by an eventfd too") {
    event_loop loop;
    static_cast<void>(loop.fd());
    const int event = ::eventfd(0, EFD_CLOEXEC);
    bool polled = false;
    loop.go([&]() -> task<> {
        auto r = co_await poll_descriptor(event, POLLIN);
        polled = holds(r, short(POLLIN));
    });
    while (readable(loop.fd())) static_cast<void>(loop.poll());
    const std::uint64_t one = 1;
    CHECK(::write(event, &one, sizeof one) == sizeof one);
    CHECK(drive(loop, [&] { return polled; }));
    ::close(event);
}

TEST_CASE("posts of four threads to a loop that is driven from outside all arrive") {
    event_loop loop;
    static_cast<void>(loop.fd());
    constexpr int each = 2000;
    int got = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < each; ++i) loop.post([&] { ++got; });
        });
    CHECK(drive(loop, [&] { return got == 4 * each; }));
    for (std::thread& t : threads) t.join();
}

TEST_CASE("a timer that is cancelled, and one that is nearer, move the descriptor's deadline") {
    event_loop loop;
    static_cast<void>(loop.fd());
    auto far = loop.spawn([]() -> task<> { co_await sleep_for(1h); });
    static_cast<void>(loop.poll());
    while (readable(loop.fd())) static_cast<void>(loop.poll());
    CHECK(loop.next_deadline() != time_point::max());
    bool near = false;
    loop.go([&]() -> task<> {
        co_await sleep_for(2ms);
        near = true;
    });
    CHECK(drive(loop, [&] { return near; }));
    far.cancel(); // from outside of a turn
    CHECK(readable(loop.fd()));
    CHECK(drive(loop, [&] { return far.done(); }));
    CHECK(loop.next_deadline() == time_point::max());
    CHECK(goes_dark(loop));
}

TEST_CASE("an epoll loop of somebody else's serves an echo of ours") {
    event_loop loop;
    const int host = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event interest{};
    interest.events = EPOLLIN;
    REQUIRE(::epoll_ctl(host, EPOLL_CTL_ADD, loop.fd(), &interest) == 0);
    std::string answer;
    bool done = false;
    loop.go([&]() -> task<> {
        auto listener = tcp_listener::bind("127.0.0.1:0");
        REQUIRE(listener);
        co_await with_group([&](task_group& g) -> task<> {
            g.go([&]() -> task<> {
                auto s = co_await listener->accept();
                REQUIRE(s);
                std::array<char, 16> buffer{};
                for (;;) {
                    auto n = co_await s->read(buffer);
                    if (!n || *n == 0) co_return;
                    static_cast<void>(co_await s->write_all(std::string_view(buffer.data(), *n)));
                }
            });
            auto c = co_await tcp_stream::connect(listener->local_address().to_string());
            REQUIRE(c);
            for (int i = 0; i < 100; ++i) {
                static_cast<void>(co_await c->write_all("ping"));
                std::array<char, 16> buffer{};
                auto n = co_await c->read(buffer);
                REQUIRE(n);
                answer.append(buffer.data(), *n);
            }
        });
        done = true;
    });
    for (int turns = 0; !done && turns < 100'000; ++turns) {
        epoll_event got{};
        if (::epoll_wait(host, &got, 1, 60'000) != 1) break;
        static_cast<void>(loop.poll());
    }
    CHECK(done);
    CHECK(answer.size() == 400);
    ::close(host);
}

TEST_CASE("the descriptor of a loop of a runtime is refused") {
    const auto d = test_support::run_to_death([] {
        runtime rt({.loops = 1});
        static_cast<void>(rt.loop(0).fd());
    });
    CHECK(d.aborted);
    CHECK(d.says("of a loop of a runtime"));
}
