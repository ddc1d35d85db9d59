// A loop that lives in a ring that somebody else owns, submits and waits on.

#include "pipe_ends.hpp"

#include <support.hpp>

#include <liburing.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::holds;

namespace {

constexpr std::uint64_t tag = 0x4c56;

/// The owner of a ring, who has operations of his own in it.
class owner {
public:
    explicit owner(unsigned entries = 64) { REQUIRE(io_uring_queue_init(entries, &ring, 0) == 0); }
    ~owner() { io_uring_queue_exit(&ring); }
    owner(const owner&) = delete;
    owner& operator=(const owner&) = delete;

    void nop(std::uint64_t user_data) {
        io_uring_sqe* sqe = io_uring_get_sqe(&ring);
        if (!sqe) { // the loop's own fill the queue
            REQUIRE(io_uring_submit(&ring) > 0);
            sqe = io_uring_get_sqe(&ring);
        }
        REQUIRE(sqe);
        io_uring_prep_nop(sqe);
        io_uring_sqe_set_data64(sqe, user_data);
    }
    /// Submits, waits, and hands over what is the loop's.
    void wait(event_loop& loop) {
        __kernel_timespec ts{60, 0};
        if (const time_point deadline = loop.next_deadline(); deadline != time_point::max()) {
            const auto left = std::max(duration::zero(), deadline - std::chrono::steady_clock::now());
            ts = {left / 1s, (left % 1s) / 1ns};
        }
        io_uring_cqe* first = nullptr;
        static_cast<void>(io_uring_submit_and_wait_timeout(&ring, &first, 1, &ts, nullptr));
        take(&loop);
    }
    /// Takes all completions that there are; without a loop, what would be its is counted.
    void take(event_loop* loop) {
        io_uring_cqe* cqe = nullptr;
        while (io_uring_peek_cqe(&ring, &cqe) == 0 && cqe) {
            if (loop ? !loop->dispatch(cqe) : cqe->user_data != tag << 48) mine.push_back(cqe->user_data);
            io_uring_cqe_seen(&ring, cqe);
        }
    }
    template <class F>
    bool drive(event_loop& loop, const F& until) {
        for (int turns = 0; turns < 100'000; ++turns) {
            static_cast<void>(loop.run_ready());
            if (until()) return true;
            wait(loop);
        }
        return false;
    }

    io_uring ring{};
    std::vector<std::uint64_t> mine; // completions of his own
};

} // namespace

TEST_CASE("operations of a guest and of its ring's owner complete, each with whose they are") {
    owner host;
    pipe_ends p;
    event_loop loop(guest_ring{&host.ring, tag});
    std::string got;
    bool done = false;
    loop.go([&]() -> task<> {
        co_await with_group([&](task_group& g) -> task<> {
            g.go([&]() -> task<> {
                std::array<char, 4> buffer{};
                while (got.size() < 100) {
                    auto n = co_await loop.submit(
                        [&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, p.fd[0], buffer.data(), 4, 0); });
                    REQUIRE(n);
                    got.append(buffer.data(), static_cast<std::size_t>(*n));
                }
            });
            for (int i = 0; i < 100; ++i) {
                CHECK(::write(p.fd[1], "x", 1) == 1);
                if (i % 10 == 0) co_await sleep_for(100us);
                else co_await this_task::yield();
            }
        });
        done = true;
    });
    for (std::uint64_t i = 0; i < 50; ++i) {
        host.nop(i);
        static_cast<void>(loop.run_ready());
        host.wait(loop);
    }
    CHECK(host.drive(loop, [&] { return done && host.mine.size() == 50; }));
    CHECK(got == std::string(100, 'x'));
    for (std::uint64_t i = 0; i < 50; ++i) CHECK(host.mine[i] == i);
    CHECK(loop.in_flight() == 0);
    CHECK(loop.next_deadline() == time_point::max());
}

TEST_CASE("an echo over TCP runs in a ring of somebody else's that has four entries") {
    owner host(4);
    event_loop loop(guest_ring{&host.ring, tag << 48}); // in its place is as good
    int answered = 0;
    loop.go([&]() -> task<> {
        auto listener = tcp_listener::bind("127.0.0.1:0");
        REQUIRE(listener);
        const std::string address = listener->local_address().to_string();
        co_await with_group([&](task_group& g) -> task<> {
            g.go([&]() -> task<> {
                co_await with_group([&](task_group& servers) -> task<> {
                    for (int i = 0; i < 16; ++i) {
                        auto s = co_await listener->accept();
                        REQUIRE(s);
                        servers.go(
                            [](tcp_stream stream) -> task<> {
                                std::array<char, 8> buffer{};
                                for (;;) {
                                    auto n = co_await stream.read(buffer);
                                    if (!n || *n == 0) co_return;
                                    static_cast<void>(
                                        co_await stream.write_all(std::string_view(buffer.data(), *n)));
                                }
                            },
                            std::move(*s));
                    }
                });
            });
            for (int i = 0; i < 16; ++i)
                g.go([&]() -> task<> {
                    auto c = co_await tcp_stream::connect(address);
                    REQUIRE(c);
                    for (int k = 0; k < 10; ++k) {
                        auto r1 = co_await c->write_all("12345678");
                        REQUIRE(r1);
                        std::array<char, 8> buffer{};
                        auto n = co_await c->read(buffer);
                        CHECK(holds(n, std::size_t(8)));
                        ++answered;
                    }
                });
            co_return;
        });
    });
    CHECK(host.drive(loop, [&] { return answered == 160 && loop.in_flight() == 0; }));
}

TEST_CASE("posts of other threads wake the owner of a ring where the loop is a guest") {
    owner host;
    event_loop loop(guest_ring{&host.ring, tag});
    static_cast<void>(loop.run_ready()); // it listens from now on
    constexpr int each = 500;
    int got = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < each; ++i) loop.post([&] { ++got; });
        });
    CHECK(host.drive(loop, [&] { return got == 3 * each; }));
    for (std::thread& t : threads) t.join();
}

TEST_CASE("a guest that is destroyed takes its operations back, and leaves the owner's completions") {
    owner host;
    pipe_ends p;
    std::string log;
    {
        event_loop loop(guest_ring{&host.ring, tag});
        for (int i = 0; i < 20; ++i)
            loop.go([&]() -> task<> {
                defer out([&]() noexcept { log += 'u'; });
                static_cast<void>(co_await poll_descriptor(p.fd[0], POLLIN));
                log += '!';
            });
        static_cast<void>(loop.run_ready());
        CHECK(loop.in_flight() == 20);
        host.nop(7);
        REQUIRE(io_uring_submit(&host.ring) > 0);
        host.nop(8); // not submitted yet
    }
    CHECK(log == std::string(20, 'u'));
    host.take(nullptr);
    REQUIRE(host.mine.size() == 2);
    CHECK(host.mine[0] == 7);
    CHECK(host.mine[1] == 8);
    // What is left in the queue means nothing to the next guest with the same tag.
    event_loop again(guest_ring{&host.ring, tag});
    bool ran = false;
    again.go([&]() -> task<> {
        co_await sleep_for(1ms);
        ran = true;
    });
    CHECK(host.drive(again, [&] { return ran; }));
}

TEST_CASE("a guest is destroyed with more operations in flight than the ring has room for completions") {
    owner host(8); // and 16 completions
    pipe_ends p;
    int unwound = 0;
    {
        event_loop loop(guest_ring{&host.ring, tag});
        for (int i = 0; i < 300; ++i)
            loop.go([&]() -> task<> {
                defer out([&]() noexcept { ++unwound; });
                static_cast<void>(co_await poll_descriptor(p.fd[0], POLLIN));
            });
        static_cast<void>(loop.run_ready());
        static_cast<void>(loop.run_ready());
        for (std::uint64_t i = 0; i < 5; ++i) {
            host.nop(i);
            REQUIRE(io_uring_submit(&host.ring) > 0);
        }
    }
    CHECK(unwound == 300);
    CHECK(io_uring_cq_ready(&host.ring) == 5); // the places of ours were given back
    host.take(nullptr);
    for (std::uint64_t i = 0; i < 5; ++i) CHECK(host.mine[i] == i);
}

TEST_CASE("timers go on while a guest is destroyed, so that a goodbye behind a shield can wait") {
    owner host;
    bool said = false;
    {
        event_loop loop(guest_ring{&host.ring, tag});
        loop.go([&]() -> task<> {
            co_await shield([&]() -> task<> {
                co_await sleep_for(5ms);
                said = true;
            });
        });
        static_cast<void>(loop.run_ready());
    }
    CHECK(said);
}

TEST_CASE("a guest in a ring whose entries another thread takes loses none of its own") {
    io_uring_params params{};
    params.flags = IORING_SETUP_SQPOLL;
    params.sq_thread_idle = 1;
    io_uring ring{};
    if (io_uring_queue_init_params(4, &ring, &params) < 0) SKIP("this kernel gives no such ring");
    {
        std::array<pipe_ends, 20> pipes;
        int done = 0;
        event_loop loop(guest_ring{&ring, tag});
        for (const pipe_ends& p : pipes)
            loop.go([&p, &done]() -> task<> {
                static_cast<void>(co_await poll_descriptor(p.fd[0], POLLIN));
                ++done;
            });
        const auto run_all = [&loop] { // a turn ends by time, too
            do static_cast<void>(loop.run_ready());
            while (loop.next_deadline() <= std::chrono::steady_clock::now());
        };
        run_all();
        CHECK(::write(pipes.back().fd[1], "x", 1) == 1);
        for (;;) {
            run_all();
            if (done != 0) break;
            REQUIRE(io_uring_submit(&ring) >= 0);
            io_uring_cqe* cqe = nullptr;
            REQUIRE(io_uring_wait_cqe(&ring, &cqe) == 0);
            CHECK(loop.dispatch(cqe));
            io_uring_cqe_seen(&ring, cqe);
        }
        CHECK(done == 1);
    }
    io_uring_queue_exit(&ring);
}

TEST_CASE("the deadline of a guest is now while tasks are ready, else the nearest timer") {
    owner host;
    event_loop loop(guest_ring{&host.ring, tag});
    CHECK(loop.next_deadline() == time_point::max());
    bool stop = false;
    int turns = 0;
    loop.go([&]() -> task<> {
        while (!stop) {
            ++turns;
            co_await this_task::yield();
        }
        co_await sleep_for(1h);
    });
    const time_point due = loop.next_deadline();
    CHECK(due <= std::chrono::steady_clock::now());
    CHECK(loop.run_ready()); // comes back, though the task would go on for ever
    CHECK(turns > 0);
    const time_point still_due = loop.next_deadline();
    CHECK(still_due <= std::chrono::steady_clock::now());
    stop = true;
    static_cast<void>(loop.run_ready());
    CHECK(loop.next_deadline() > std::chrono::steady_clock::now() + 59min);
}

TEST_CASE("a guest_ring without a ring, or with a tag that addresses could have, is refused") {
    owner host;
    const auto refused = [](const guest_ring& g) {
        try {
            event_loop loop(g);
        } catch (const std::system_error& e) {
            return e.code() == std::errc::invalid_argument;
        }
        return false;
    };
    CHECK(refused({nullptr, tag}));
    CHECK(refused({&host.ring, 0}));
    CHECK(refused({&host.ring, 0x10000}));
    CHECK(refused({&host.ring, (tag << 48) + 8}));
}

TEST_CASE("what only the owner may do terminates with what to do instead") {
    const auto waits = test_support::run_to_death([] {
        owner host;
        event_loop loop(guest_ring{&host.ring, tag});
        loop.run();
    });
    CHECK(waits.says("call run_ready()"));
    const auto chain = test_support::run_to_death([] {
        owner host;
        event_loop loop(guest_ring{&host.ring, tag});
        host.nop(1);
        host.ring.sq.sqes[0].flags |= IOSQE_IO_LINK;
        static_cast<void>(loop.run_ready());
    });
    CHECK(chain.says("finish the chain"));
    const auto own = test_support::run_to_death([] {
        event_loop loop;
        static_cast<void>(loop.run_ready());
    });
    CHECK(own.says("use poll()"));
}
