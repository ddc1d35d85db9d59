#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/channel/ends.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

using namespace levada;
using namespace std::chrono_literals;
using test_support::until_all_parked;

namespace {

using box = std::unique_ptr<int>;

} // namespace

TEST_CASE("try_send on a full or closed channel leaves the value alone") {
    channel<box> rendezvous, bounded(1), nothing = nil;
    REQUIRE(bounded.try_send(box()));
    box v = std::make_unique<int>(3);
    CHECK(rendezvous.try_send(std::move(v)).error() == errc::full);
    CHECK(bounded.try_send(std::move(v)).error() == errc::full);
    CHECK(nothing.try_send(std::move(v)).error() == errc::full);
    bounded.close();
    rendezvous.close();
    CHECK(rendezvous.try_send(std::move(v)).error() == errc::closed);
    CHECK(bounded.try_send(std::move(v)).error() == errc::closed);
    REQUIRE(v);
    CHECK(*v == 3);
}

TEST_CASE("try_recv tells empty from closed, and drains before it says closed") {
    channel<int> ch(2);
    CHECK(ch.try_recv().error() == errc::empty);
    REQUIRE(ch.try_send(1));
    ch.close();
    CHECK(ch.try_recv().value() == 1);
    CHECK(ch.try_recv().error() == errc::closed);
    channel<int> other;
    CHECK(other.try_recv().error() == errc::empty);
    other.close(std::make_error_code(std::errc::io_error));
    CHECK(other.try_recv().error() == std::errc::io_error);
}

TEST_CASE("try_send of an lvalue copies") {
    channel<std::string> ch(1);
    const std::string text = "a text that is too long for the small buffer";
    REQUIRE(ch.try_send(text));
    CHECK(ch.try_recv().value() == text);
}

TEST_CASE("a full unbounded channel does not exist") {
    auto ch = channel<int>::unbounded();
    for (int i = 0; i < 10000; ++i) REQUIRE(ch.try_send(i));
    CHECK(ch.size() == 10000);
}

TEST_TASK("try_recv takes from a parked sender, who then goes on") {
    for (std::size_t capacity : {0u, 1u}) {
        channel<box> ch(capacity);
        wait_group wg;
        for (int i = 0; i < 3; ++i) {
            wg.go([&, i]() -> task<> {
                box v = std::make_unique<int>(i);
                auto r = co_await ch.send(std::move(v));
                CHECK(r);
                CHECK_FALSE(v);
            });
            co_await until_all_parked();
        }
        for (int i = 0; i < 3; ++i) {
            auto r = ch.try_recv();
            REQUIRE(r);
            CHECK(**r == i);
        }
        CHECK(ch.try_recv().error() == errc::empty);
        co_await wg.wait();
    }
}

TEST_TASK("try_send gives to a parked receiver, one value each") {
    channel<int> ch;
    int sum = 0;
    wait_group wg;
    for (int i = 0; i < 3; ++i) {
        wg.go([&]() -> task<> {
            auto r = co_await ch.recv();
            sum += r.value();
        });
    }
    co_await until_all_parked();
    for (int i : {1, 10, 100}) CHECK(ch.try_send(i));
    CHECK(ch.try_send(1000).error() == errc::full);
    co_await wg.wait();
    CHECK(sum == 111);
}

TEST_CASE("plain threads send and receive, and every value arrives once") {
    for (std::size_t capacity : {0u, 1u, 16u}) {
        channel<box> ch(capacity);
        constexpr int per_thread = 2000;
        std::atomic<long> sum{0};
        std::atomic<int> got{0};
        std::vector<std::thread> threads;
        for (int s = 0; s < 2; ++s) {
            threads.emplace_back([&ch, s] {
                for (int i = 0; i < per_thread; ++i) {
                    box v = std::make_unique<int>(s * per_thread + i);
                    if (!ch.send_blocking(std::move(v)) || v) std::abort();
                }
            });
        }
        std::vector<std::thread> readers;
        for (int r = 0; r < 2; ++r) {
            readers.emplace_back([&] {
                while (auto v = ch.recv_blocking()) {
                    sum += **v;
                    ++got;
                }
            });
        }
        for (auto& t : threads) t.join();
        ch.close();
        for (auto& t : readers) t.join();
        const long n = 2 * per_thread;
        CHECK(got == n);
        CHECK(sum == n * (n - 1) / 2);
    }
}

TEST_CASE("a blocking receive that timed out has taken nothing") {
    channel<int> ch(1);
    auto r = ch.recv_blocking_for(1ms);
    CHECK(r.error() == errc::timed_out);
    REQUIRE(ch.try_send(1));
    CHECK(ch.size() == 1);
    auto again = ch.recv_blocking_for(1h);
    CHECK(again.value() == 1);
    CHECK(ch.recv_blocking_for(0s).error() == errc::timed_out);
    CHECK(ch.recv_blocking_for(-1s).error() == errc::timed_out);
    channel<int> none = nil;
    CHECK(none.recv_blocking_for(1ms).error() == errc::timed_out);
}

TEST_CASE("a blocking send that timed out keeps its value, and nobody receives it") {
    channel<box> ch;
    box v = std::make_unique<int>(3);
    CHECK(ch.send_blocking_for(1ms, std::move(v)).error() == errc::timed_out);
    REQUIRE(v);
    CHECK(ch.try_recv().error() == errc::empty);
    ch.close();
    CHECK(ch.send_blocking_for(1h, std::move(v)).error() == errc::closed);
    CHECK(ch.send_blocking(std::move(v)).error() == errc::closed);
    CHECK(v);
}

TEST_CASE("timed sends and receives that race with their timeouts lose nothing") {
    channel<box> ch;
    constexpr int n = 3000;
    std::atomic<long> sent{0}, received{0}, count_sent{0}, count_received{0};
    std::atomic<bool> over{false};
    std::thread sender([&] {
        for (int i = 1; i <= n; ++i) {
            box v = std::make_unique<int>(i);
            auto r = ch.send_blocking_for(std::chrono::microseconds(i % 40), std::move(v));
            if (r.has_value() == (v != nullptr)) std::abort(); // sent xor still here
            if (r) sent += i, ++count_sent;
        }
        over = true;
    });
    std::thread receiver([&] {
        while (!over) {
            auto r = ch.recv_blocking_for(15us);
            if (r) received += **r, ++count_received;
        }
    });
    sender.join();
    receiver.join();
    CHECK(count_sent == count_received);
    CHECK(sent == received);
}

TEST_CASE("close wakes blocked threads on both sides") {
    channel<int> in, out(1);
    REQUIRE(out.try_send(1));
    std::error_code receiver_saw, sender_saw;
    std::thread receiver([&] { receiver_saw = in.recv_blocking().error(); });
    std::thread sender([&] { sender_saw = out.send_blocking(2).error(); });
    in.close(std::make_error_code(std::errc::io_error));
    out.close();
    receiver.join();
    sender.join();
    CHECK(receiver_saw == std::errc::io_error);
    CHECK(sender_saw == errc::closed);
}

TEST_CASE("a blocked thread keeps its channel alive through the close that wakes it") {
    for (int i = 0; i < 50; ++i) {
        auto [tx, rx] = make_ends<int>();
        std::error_code why;
        std::thread receiver([&why, end = std::make_unique<recv_end<int>>(std::move(rx))]() mutable {
            why = end->recv_blocking().error();
        });
        tx.close(std::make_error_code(std::errc::io_error));
        tx.reset();
        receiver.join();
        CHECK(why == std::errc::io_error);
    }
}

TEST_CASE("blocking forms of a channel of void") {
    channel<void> ch(1);
    CHECK(ch.send_blocking());
    CHECK(ch.send_blocking_for(1ms).error() == errc::timed_out);
    CHECK(ch.recv_blocking());
    CHECK(ch.recv_blocking_for(1ms).error() == errc::timed_out);
}

TEST_CASE("a blocking form on a loop's own thread terminates and says why") {
    auto receive = test_support::run_task_to_death([]() -> task<> {
        channel<int> ch(1);
        (void)ch.try_send(1);
        (void)ch.recv_blocking(); // even when it would not have to wait
        co_return;
    });
    CHECK(receive.aborted);
    CHECK(receive.says("blocking call was made on a loop's own thread"));
    auto send = test_support::run_task_to_death([]() -> task<> {
        channel<int> ch;
        (void)ch.send_blocking_for(1ms, 1);
        co_return;
    });
    CHECK(send.aborted);
    CHECK(send.says("blocking call was made on a loop's own thread"));
}
