// go and spawn: what they keep alive, for how long, and what becomes of what they started.

#include <support.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <levada/channel/channel.hpp>
#include <levada/sync/event.hpp>
#include <levada/sync/timer.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::mourner;

namespace {

task<int> twice(int n) { co_return 2 * n; }

class counter {
public:
    task<int> add(int n) {
        total_ += n;
        co_return total_;
    }
    int read() const noexcept { return total_; }

private:
    int total_ = 0;
};

} // namespace

TEST_TASK("a capturing lambda that was a temporary does not dangle in its task") {
    const std::string text(200, 'x');
    auto h = spawn([text]() -> task<std::size_t> {
        co_await this_task::yield();
        co_await sleep_for(1ms);
        co_return text.size(); // reads the capture, after the lambda given to spawn has gone
    });
    auto r = co_await h.join();
    REQUIRE(*r == 200);

    channel<std::size_t> out;
    go([text, out]() -> task<> {
        co_await this_task::yield();
        auto sent = co_await out.send(text.size());
        static_cast<void>(sent);
    });
    auto n = co_await out.recv();
    REQUIRE(*n == 200);
}

TEST_TASK("arguments are copied into the task, and an rvalue is moved") {
    auto shared = std::make_shared<int>(1);
    auto count = [](std::shared_ptr<int> p) -> task<long> {
        co_await this_task::yield();
        co_return p.use_count();
    };
    {
        auto h = spawn(count, shared);
        auto r = co_await h.join();
        REQUIRE(*r >= 2);
    }
    REQUIRE(shared.use_count() == 1);
    auto own = std::make_unique<int>(9);
    auto h = spawn([](std::unique_ptr<int> p) -> task<int> { co_return *p; }, std::move(own));
    auto r = co_await h.join();
    REQUIRE(*r == 9);
    REQUIRE(!own);
}

TEST_TASK("std::ref passes the object itself") {
    int n = 0;
    auto h = spawn(
        [](int& x) -> task<> {
            x = 5;
            co_return;
        },
        std::ref(n));
    auto r = co_await h.join();
    REQUIRE(r.has_value());
    REQUIRE(n == 5);
}

TEST_TASK("plain callables and member functions start as tasks too") {
    auto plain = spawn([](int n) { return n + 1; }, 1);
    auto r = co_await plain.join();
    REQUIRE(*r == 2);
    bool ran = false;
    auto nothing = spawn([&ran] { ran = true; });
    REQUIRE(!ran); // not inside spawn
    auto v = co_await nothing.join();
    REQUIRE(v.has_value());
    REQUIRE(ran);
    counter c;
    auto m = spawn(&counter::add, &c, 3);
    auto sum = co_await m.join();
    REQUIRE(*sum == 3);
    auto k = spawn(&counter::read, &c);
    auto same = co_await k.join();
    REQUIRE(*same == 3);
    auto thrower = spawn([]() -> int { throw std::runtime_error("plainly"); });
    std::string what;
    try {
        auto never = co_await thrower.join();
        static_cast<void>(never);
    } catch (const std::runtime_error& e) {
        what = e.what();
    }
    REQUIRE(what == "plainly");
}

TEST_TASK("a task takes as many arguments as one likes") {
    auto h =
        spawn([](int a, int b, int c, int d, int e, int f) -> task<int> { co_return a + b + c + d + e + f; },
              1, 2, 3, 4, 5, 6);
    auto r = co_await h.join();
    REQUIRE(*r == 21);
}

TEST_TASK("the frame, then the callable and the arguments, are gone before a joiner wakes") {
    std::string log;
    {
        mourner argument(log, 'a');
        mourner captured(log, 'c');
        auto body = [c = std::move(captured), &log](mourner) -> task<> {
            mourner local(log, 'l');
            co_await this_task::yield();
        };
        auto h = spawn(std::move(body), std::move(argument));
        auto r = co_await h.join();
        log += 'j';
        REQUIRE(r.has_value());
    }
    REQUIRE(log.size() == 4);
    REQUIRE(log.front() == 'l');
    REQUIRE(log.back() == 'j');
}

TEST_TASK("the frame and the arguments of a cancelled task are gone before its joiner wakes") {
    std::string log;
    mourner argument(log, 'a');
    auto h = spawn(
        [](mourner, std::string& l) -> task<> {
            mourner local(l, 'l');
            channel<int> never = nil;
            auto r = co_await never.recv();
            static_cast<void>(r);
        },
        std::move(argument), std::ref(log));
    co_await test_support::until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    log += 'j';
    REQUIRE(r.error() == errc::cancelled);
    REQUIRE(log == "laj");
}

TEST_TASK("go returns before its task runs") {
    bool ran = false;
    go([&ran]() -> task<> {
        ran = true;
        co_return;
    });
    REQUIRE(!ran);
    while (!ran) co_await this_task::yield();
}

TEST_TASK("a task that go started is not under the token of who started it") {
    channel<bool> report(1);
    event parent_has_gone;
    auto h = spawn([&]() -> task<> {
        go([&]() -> task<> {
            co_await parent_has_gone.wait();
            auto sent = co_await report.send(this_task::token().cancelled());
            static_cast<void>(sent);
        });
        co_await sleep_for(1h);
    });
    co_await test_support::until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    parent_has_gone.set();
    auto cancelled = co_await report.recv();
    REQUIRE(!*cancelled);
}

TEST_CASE("when main ends, what go started is cancelled and joined") {
    std::string log;
    const std::size_t before = frame_pool::live();
    {
        virtual_loop loop;
        loop.run([&log]() -> task<> {
            go([&log]() -> task<> {
                mourner m(log, 'g');
                co_await sleep_for(24h);
                log += '!';
            });
            co_await sleep_for(1ms);
        });
    }
    REQUIRE(log == "g");
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("when main ends, tasks that others start while they unwind are joined too") {
    // `go` in a destructor: shutdown goes on until nothing is left.
    std::string log;
    const std::size_t before = frame_pool::live();
    {
        virtual_loop loop;
        loop.run([&log]() -> task<> {
            go([&log]() -> task<> {
                defer last([&log] {
                    go([&log]() -> task<> {
                        mourner m(log, 'x');
                        co_await sleep_for(24h);
                    });
                });
                co_await sleep_for(24h);
            });
            co_await sleep_for(1ms);
        });
    }
    REQUIRE(log == "x");
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("when main ends, a detached task that still says goodbye behind a shield is joined") {
    std::string log;
    const std::size_t before = frame_pool::live();
    {
        virtual_loop loop;
        loop.run([&log]() -> task<> {
            auto h = spawn([&log]() -> task<> {
                mourner m(log, 'd');
                co_await shield([]() -> task<> { co_await sleep_for(1h); });
            });
            h.detach();
            co_await sleep_for(1ms);
        });
    }
    REQUIRE(log == "d");
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("when main ends, the child of a task that ended before is joined") {
    std::string log;
    const std::size_t before = frame_pool::live();
    {
        virtual_loop loop;
        loop.run([&log]() -> task<> {
            join_handle<> inner;
            auto outer = spawn([&]() -> task<> {
                inner = spawn([&log]() -> task<> {
                    mourner m(log, 'i');
                    co_await shield([]() -> task<> { co_await sleep_for(1h); });
                });
                co_await this_task::yield();
            });
            auto r = co_await outer.join();
            REQUIRE(r.has_value());
            co_await test_support::until_parked(inner);
        });
    }
    REQUIRE(log == "i");
    REQUIRE(frame_pool::live() == before);
}

TEST_CASE("an exception from go terminates, and names the task, its line and what()") {
    const auto line = std::to_string(__LINE__ + 2);
    auto d = test_support::run_task_to_death([]() -> task<> {
        go([]() -> task<> {
            this_task::name("careless");
            throw std::runtime_error("out of beans");
            co_return;
        });
        co_await sleep_for(1ms);
    });
    REQUIRE(d.aborted);
    CHECK(d.says("out of beans"));
    CHECK(d.says("careless"));
    CHECK(d.says("spawn_test.cpp:" + line));
}

TEST_CASE("an exception from a plain callable that go started terminates too") {
    auto d = test_support::run_task_to_death([]() -> task<> {
        go([] { throw 5; });
        co_await sleep_for(1ms);
    });
    REQUIRE(d.aborted);
    CHECK(d.says("not a std::exception"));
}

TEST_CASE("go and spawn outside of a loop or task terminate and say so") {
    auto a = test_support::run_to_death([] { go([]() -> task<> { co_return; }); });
    REQUIRE(a.aborted);
    CHECK(a.says("go was used outside of a loop"));
    auto b = test_support::run_to_death([] { spawn([]() -> task<> { co_return; }).detach(); });
    REQUIRE(b.aborted);
    CHECK(b.says("spawn was used outside of a task"));
}

TEST_TASK("ten thousand tasks are spawned and joined") {
    std::vector<join_handle<int>> handles;
    for (int i = 0; i < 10'000; ++i) handles.push_back(spawn(twice, i));
    long sum = 0;
    for (auto& h : handles) {
        auto r = co_await h.join();
        sum += *r;
    }
    REQUIRE(sum == 10'000L * 9'999);
}
