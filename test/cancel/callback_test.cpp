#include <support.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <levada/channel/channel.hpp>

using namespace levada;

namespace {

struct erased {
    virtual ~erased() = default;
};
template <class F>
struct holds_callback final : erased {
    holds_callback(const cancel_token& t, F f) : callback(t, std::move(f)) {}
    cancel_callback<F> callback;
};
template <class F>
std::unique_ptr<erased> make_callback(const cancel_token& t, F f) {
    return std::make_unique<holds_callback<F>>(t, std::move(f));
}

} // namespace

TEST_CASE("a callback runs when its token is cancelled, once, before cancel returns") {
    cancel_source src;
    int calls = 0;
    cancel_callback c(src.token(), [&] { ++calls; });
    REQUIRE(calls == 0);
    src.cancel();
    REQUIRE(calls == 1);
    src.cancel();
    REQUIRE(calls == 1);
    REQUIRE(!c.reset());
}

TEST_CASE("a callback on a cancelled token runs at once") {
    cancel_source src;
    src.cancel();
    int calls = 0;
    cancel_callback c(src.token(), [&] { ++calls; });
    REQUIRE(calls == 1);
}

TEST_CASE("a callback on a default-made token never runs") {
    int calls = 0;
    {
        cancel_callback c(cancel_token(), [&] { ++calls; });
    }
    REQUIRE(calls == 0);
}

TEST_CASE("a callback that is reset or destroyed does not run") {
    const std::size_t before = frame_pool::live();
    {
        cancel_source src;
        int calls = 0;
        cancel_callback a(src.token(), [&] { ++calls; });
        {
            cancel_callback b(src.token(), [&] { ++calls; });
        }
        REQUIRE(a.reset());
        REQUIRE(!a.reset());
        src.cancel();
        REQUIRE(calls == 0);
    }
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("a callback hears of its token's ancestors") {
    cancel_source top;
    cancel_source child(top.token());
    cancel_source grandchild(child.token());
    std::error_code seen;
    cancel_callback c(grandchild.token(), [&] { seen = grandchild.token().reason(); });
    top.cancel(errc::timed_out);
    REQUIRE(seen == errc::timed_out);
}

TEST_CASE("a callback may destroy itself") {
    cancel_source src;
    int calls = 0;
    std::unique_ptr<erased> self;
    self = make_callback(src.token(), [&calls, &self] {
        ++calls;
        self.reset();
    });
    src.cancel();
    REQUIRE(calls == 1);
    REQUIRE(!self);
}

TEST_CASE("a callback may destroy another that has not run yet, which then does not run") {
    for (int first = 0; first < 2; ++first) {
        cancel_source src;
        int calls = 0;
        std::unique_ptr<erased> a;
        std::unique_ptr<erased> b;
        a = make_callback(src.token(), [&] {
            ++calls;
            b.reset();
        });
        b = make_callback(src.token(), [&] {
            ++calls;
            a.reset();
        });
        src.cancel();
        REQUIRE(calls == 1);
        REQUIRE((a == nullptr) != (b == nullptr));
    }
}

TEST_CASE("a callback may cancel its own token, another's, and make new callbacks") {
    cancel_source src;
    cancel_source other;
    std::string log;
    std::unique_ptr<erased> fresh;
    cancel_callback on_other(other.token(), [&] { log += 'o'; });
    cancel_callback c(src.token(), [&] {
        log += 'c';
        if (src.cancel()) log += '!';
        other.cancel();
        fresh = make_callback(src.token(), [&] { log += 'f'; });
    });
    src.cancel();
    REQUIRE(log == "cof");
}

TEST_CASE("a callback may drop the last source and token") {
    const std::size_t before = frame_pool::live();
    {
        auto src = std::make_unique<cancel_source>();
        auto c = std::make_unique<std::unique_ptr<erased>>();
        int calls = 0;
        *c = make_callback(src->token(), [&] {
            ++calls;
            auto& last = src; // the closure goes with its callback
            c.reset();
            last.reset();
        });
        src->cancel();
        REQUIRE(calls == 1);
    }
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("a callback that throws terminates") {
    auto d = test_support::run_to_death([] {
        cancel_source src;
        cancel_callback c(src.token(), [] { throw 1; });
        src.cancel();
    });
    REQUIRE(d.aborted);
}

TEST_CASE("the destructor of a callback waits while another thread runs it") {
    for (int round = 0; round < 50; ++round) {
        cancel_source src;
        std::atomic<bool> inside = false;
        std::atomic<bool> finished = false;
        auto c = make_callback(src.token(), [&] {
            inside = true;
            for (int i = 0; i < 100; ++i) std::this_thread::yield();
            finished = true;
        });
        std::thread canceller([&] { src.cancel(); });
        while (!inside) std::this_thread::yield();
        c.reset();
        REQUIRE(finished);
        canceller.join();
    }
}

TEST_CASE("callbacks made and destroyed while another thread cancels run once or not at all") {
    const std::size_t before = frame_pool::live();
    for (int round = 0; round < 300; ++round) {
        cancel_source top;
        cancel_source src(top.token());
        std::atomic<int> calls = 0;
        std::thread canceller([&] { top.cancel(); });
        int prevented = 0;
        for (int i = 0; i < 20; ++i) {
            std::atomic<int> mine = 0;
            cancel_callback c(src.token(), [&] {
                ++mine;
                ++calls;
            });
            prevented += c.reset();
            REQUIRE(mine <= 1);
        }
        canceller.join();
        REQUIRE(calls + prevented == 20);
    }
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("threads that make children while another cancels the parent all see the cancel") {
    const std::size_t before = frame_pool::live();
    for (int round = 0; round < 100; ++round) {
        cancel_source top;
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t)
            threads.emplace_back([&] {
                std::vector<cancel_source> mine;
                for (int i = 0; i < 50; ++i) {
                    mine.emplace_back(i % 2 == 0 || mine.empty() ? top.token() : mine.back().token());
                    if (i % 7 == 0) mine.erase(mine.begin());
                }
                while (!top.token().cancelled()) std::this_thread::yield();
                for (auto& m : mine) // the walk may still be on its way down, but it comes
                    while (!m.token().cancelled()) std::this_thread::yield();
            });
        top.cancel(errc::timed_out);
        for (auto& t : threads) t.join();
    }
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("a cancel from another thread is seen by a task that runs") {
    virtual_loop loop;
    cancel_source src;
    std::atomic<bool> running = false;
    std::thread canceller([&] {
        while (!running) std::this_thread::yield();
        src.cancel();
    });
    auto r = loop.run([&]() -> task<result<void>> {
        auto body = [&]() -> task<> {
            for (;;) {
                running = true;
                co_await this_task::yield();
            }
        };
        auto end = co_await with_token(src.token(), body);
        co_return end;
    });
    canceller.join();
    REQUIRE(r.error() == errc::cancelled);
}

TEST_CASE("a cancel from another thread wakes a task that is parked on the event_loop") {
    const std::size_t before = frame_pool::live();
    for (int round = 0; round < 200; ++round) {
        cancel_source src;
        std::thread canceller;
        levada::run([&]() -> task<> {
            auto body = [&]() -> task<> {
                canceller = std::thread([&] { src.cancel(); });
                channel<int> never = nil;
                for (;;) {
                    auto r = co_await with_timeout(std::chrono::hours(24), never.recv());
                    static_cast<void>(r);
                }
            };
            auto r = co_await with_token(src.token(), body);
            REQUIRE(r.error() == errc::cancelled);
        });
        canceller.join();
    }
    REQUIRE(frame_pool::live() == before);
}
