// Plain threads on channels, against each other and against tasks on a loop.

#include "support.hpp"

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>
#include <levada/task/spawn.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

using namespace levada;

namespace {

using box = std::unique_ptr<int>;

constexpr int per_thread = 20'000;

/// What one thread has sent and received, by number. Failed expectations abort: assertions are for one
/// thread.
class account {
public:
    void sent(int n, bool ok, const box& v) {
        if (ok == (v != nullptr)) std::abort(); // sent xor still here
        if (ok) out.push_back(n);
    }
    void received(result<box> r) {
        if (!r) return;
        if (!*r) std::abort();
        in.push_back(**r);
    }
    std::vector<int> out, in;
};

void compare(std::vector<account>& all, const std::vector<channel<box>>& channels) {
    std::vector<int> out, in;
    for (auto& a : all) {
        out.insert(out.end(), a.out.begin(), a.out.end());
        in.insert(in.end(), a.in.begin(), a.in.end());
    }
    for (auto& ch : channels)
        while (auto v = ch.try_recv()) in.push_back(**v);
    std::sort(out.begin(), out.end());
    std::sort(in.begin(), in.end());
    CHECK(out.size() > 0);
    CHECK(out == in);
}

} // namespace

TEST_CASE("threads that send and receive with short timeouts on four channels lose and double nothing") {
    constexpr int threads = 4;
    const std::vector<channel<box>> channels{channel<box>(), channel<box>(1), channel<box>(16),
                                             channel<box>::unbounded()};
    std::vector<account> accounts(threads);
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
        running.emplace_back([&, t] {
            account& mine = accounts[static_cast<std::size_t>(t)];
            std::minstd_rand dice(static_cast<unsigned>(t + 1));
            for (int i = 0; i < per_thread; ++i) {
                const auto& ch = channels[dice() % channels.size()];
                const std::chrono::microseconds d(dice() % 20);
                const int n = t * per_thread + i;
                switch (dice() % 4) {
                    case 0: {
                        box v = std::make_unique<int>(n);
                        const bool ok = ch.send_blocking_for(d, std::move(v)).has_value();
                        mine.sent(n, ok, v);
                        break;
                    }
                    case 1: {
                        box v = std::make_unique<int>(n);
                        const bool ok = ch.try_send(std::move(v)).has_value();
                        mine.sent(n, ok, v);
                        break;
                    }
                    case 2: mine.received(ch.recv_blocking_for(d)); break;
                    default: mine.received(ch.try_recv()); break;
                }
            }
        });
    }
    for (auto& t : running) t.join();
    compare(accounts, channels);
}

TEST_CASE("a close that races with blocked threads wakes them all and loses nothing") {
    for (int round = 0; round < 60; ++round) {
        const std::vector<channel<box>> channels{channel<box>(static_cast<std::size_t>(round % 3))};
        const auto& ch = channels[0];
        std::vector<account> accounts(4);
        std::vector<std::thread> running;
        std::atomic<int> started{0};
        for (int t = 0; t < 4; ++t) {
            running.emplace_back([&, t] {
                account& mine = accounts[static_cast<std::size_t>(t)];
                ++started;
                for (int n = t * 1'000'000;; ++n) {
                    if (t < 2) {
                        box v = std::make_unique<int>(n);
                        const bool ok = ch.send_blocking(std::move(v)).has_value();
                        mine.sent(n, ok, v);
                        if (!ok) return;
                    } else {
                        auto r = ch.recv_blocking();
                        if (!r) return;
                        mine.received(std::move(r));
                    }
                }
            });
        }
        while (started != 4) std::this_thread::yield();
        for (int i = 0; i < round; ++i) std::this_thread::yield();
        ch.close();
        for (auto& t : running) t.join();
        std::vector<int> out, in;
        for (auto& a : accounts) {
            out.insert(out.end(), a.out.begin(), a.out.end());
            in.insert(in.end(), a.in.begin(), a.in.end());
        }
        while (auto v = ch.try_recv()) in.push_back(**v);
        std::sort(out.begin(), out.end());
        std::sort(in.begin(), in.end());
        REQUIRE(out == in);
    }
}

TEST_CASE("tasks on a loop and plain threads exchange values both ways and lose none") {
    constexpr int n = 5000;
    channel<box> in(4), out;
    std::vector<account> accounts(3);
    std::thread sender([&] {
        for (int i = 0; i < n; ++i) {
            box v = std::make_unique<int>(i);
            const bool ok = in.send_blocking(std::move(v)).has_value();
            accounts[0].sent(i, ok, v);
        }
        in.close();
    });
    std::thread receiver([&] {
        while (auto r = out.recv_blocking()) accounts[1].received(std::move(r));
    });
    const int code = levada::run([&]() -> task<> {
        wait_group wg;
        for (int i = 0; i < 3; ++i) {
            wg.go([&]() -> task<> {
                for (;;) {
                    auto s = co_await select(in.recv(), after(std::chrono::microseconds(3)));
                    if (s.index() == 1) continue;
                    auto v = std::move(get<0>(s));
                    if (!v) co_return;
                    auto r = co_await out.send(std::move(*v));
                    if (!r) std::abort();
                }
            });
        }
        co_await wg.wait();
    });
    CHECK(code == 0);
    out.close();
    sender.join();
    receiver.join();
    CHECK(accounts[1].in.size() == n);
    compare(accounts, {in, out});
}
