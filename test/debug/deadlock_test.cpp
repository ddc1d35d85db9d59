#include <support.hpp>

#include <functional>
#include <source_location>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

struct found {
    std::size_t n;
    std::string text;
};

found look() {
    std::ostringstream out;
    const std::size_t n = debug::find_deadlocks(out);
    return {n, out.str()};
}

bool has(const std::string& text, const std::string& what) { return text.find(what) != text.npos; }

constexpr auto a_while = 1ms; // of virtual time: all are parked by then

} // namespace

LEVADA_TEST_CASE("two tasks that lock two mutexes in opposite order are a circle") {
    mutex a;
    mutex b;
    co_await with_group([&](task_group& g) -> task<> {
        g.go([&]() -> task<> {
            this_task::name("a then b");
            auto first = co_await a.lock();
            co_await sleep_for(10us);
            auto second = co_await b.lock();
        });
        g.go([&]() -> task<> {
            this_task::name("b then a");
            auto first = co_await b.lock();
            co_await sleep_for(10us);
            auto second = co_await a.lock();
        });
        co_await sleep_for(a_while);
        const found f = look();
        INFO(f.text);
        CHECK(f.n == 2);
        CHECK(has(f.text, "in a circle"));
        CHECK(has(f.text, "and waits for task \"a then b\""));
        CHECK(has(f.text, "and waits for task \"b then a\""));
        CHECK(has(f.text, "waits for mutex::lock of one made at "));
        g.cancel();
    });
}

LEVADA_TEST_CASE("a task that locks a mutex twice waits for itself") {
    mutex m;
    auto h = spawn([&]() -> task<> {
        auto first = co_await m.lock();
        auto second = co_await m.lock();
    });
    co_await sleep_for(a_while);
    const found f = look();
    INFO(f.text);
    CHECK(f.n == 1);
    CHECK(has(f.text, "a task waits for itself"));
    h.cancel();
    static_cast<void>(co_await h.join());
}

LEVADA_TEST_CASE("a mutex whose holder sleeps is no deadlock") {
    mutex m;
    co_await with_group([&](task_group& g) -> task<> {
        g.go([&]() -> task<> {
            auto held = co_await m.lock();
            co_await sleep_for(1h);
        });
        g.go([&]() -> task<> { auto held = co_await m.lock(); });
        co_await sleep_for(a_while);
        CHECK(look().n == 0);
        g.cancel();
    });
}

LEVADA_TEST_CASE("a mutex that was handed over is held by the one who got it") {
    mutex m;
    mutex other;
    co_await with_group([&](task_group& g) -> task<> {
        auto held = co_await m.lock();
        auto other_held = co_await other.lock();
        g.go([&]() -> task<> {
            this_task::name("gets it");
            auto mine = co_await m.lock();
            auto never = co_await m.lock();
        });
        co_await sleep_for(a_while);
        CHECK(look().n == 0); // we hold it, and go on
        held.unlock();
        co_await sleep_for(a_while);
        const found f = look();
        INFO(f.text);
        CHECK(f.n == 1);
        CHECK(has(f.text, "\"gets it\""));
        g.cancel();
    });
}

LEVADA_TEST_CASE("a consumer that holds a sending end of what it ranges over waits for itself") {
    auto [tx, rx] = make_ends<int>();
    auto h = spawn(
        [](send_end<int> kept, recv_end<int> in) -> task<> {
            this_task::name("ranges");
            static_cast<void>(kept);
            while (auto v = co_await in.recv()) static_cast<void>(v);
        },
        tx, rx);
    tx.reset();
    rx.reset();
    co_await sleep_for(a_while);
    const found f = look();
    INFO(f.text);
    CHECK(f.n == 1);
    CHECK(has(f.text, "a task waits for itself"));
    CHECK(has(f.text, "recv on a rendezvous channel made at "));
    h.cancel();
    static_cast<void>(co_await h.join());
}

LEVADA_TEST_CASE(
    "tasks that each wait for a value of the next are a circle, and who joins one waits with them") {
    auto [tx1, rx1] = make_ends<int>();
    auto [tx2, rx2] = make_ends<int>();
    const auto passes = [](recv_end<int> in, send_end<int> out) -> task<> {
        auto v = co_await in.recv();
        if (v) static_cast<void>(co_await out.send(*v));
    };
    auto first = spawn(passes, std::move(rx1), std::move(tx2));
    auto second = spawn(passes, std::move(rx2), std::move(tx1));
    auto joiner = spawn([&]() -> task<> {
        this_task::name("joiner");
        static_cast<void>(co_await first.join());
    });
    co_await sleep_for(a_while);
    const found f = look();
    INFO(f.text);
    CHECK(f.n == 3);
    CHECK(has(f.text, "in a circle"));
    CHECK(has(f.text, "tasks that nothing else can wake"));
    CHECK(has(f.text, "task \"joiner\""));
    first.cancel();
    second.cancel();
    static_cast<void>(co_await joiner.join());
    static_cast<void>(co_await second.join());
}

LEVADA_TEST_CASE("whoever has a handle beside the counted ends may send: no deadlock") {
    auto [tx, rx] = make_ends<int>();
    const send_channel<int> plain = tx; // does not count
    auto h = spawn(
        [](send_end<int> kept, recv_end<int> in) -> task<> {
            static_cast<void>(kept);
            static_cast<void>(co_await in.recv());
        },
        std::move(tx), std::move(rx));
    co_await sleep_for(a_while);
    CHECK(look().n == 0);
    auto sent = co_await plain.send(1);
    CHECK(sent.has_value());
    static_cast<void>(co_await h.join());
}

LEVADA_TEST_CASE(
    "an end that a task still to be started has in its closure, or one in a buffer, holds up nobody") {
    // The closure lies with the task that sends later.
    auto [tx, rx] = make_ends<int>();
    go([out = std::move(tx)]() -> task<> {
        co_await sleep_for(1h);
        static_cast<void>(co_await out.send(1));
    });
    // The reply's end lies in the buffer of a server that is busy.
    struct request {
        explicit request(send_end<int> to) : reply(std::move(to)) {}
        send_end<int> reply;
    };
    channel<request> server(4);
    auto [reply_tx, reply_rx] = make_ends<int>();
    auto client = spawn(
        [](channel<request> to, send_end<int> mine, recv_end<int> answer) -> task<int> {
            static_cast<void>(co_await to.emplace(std::move(mine)));
            co_return (co_await answer.recv()).value();
        },
        server, std::move(reply_tx), std::move(reply_rx));
    auto receiver =
        spawn([](recv_end<int> in) -> task<> { static_cast<void>(co_await in.recv()); }, std::move(rx));
    co_await sleep_for(a_while);
    const found f = look();
    INFO(f.text);
    CHECK(f.n == 0);
    {
        auto asked = co_await server.recv();
        REQUIRE(asked);
        static_cast<void>(co_await asked->reply.send(7));
    }
    auto answered = co_await client.join();
    CHECK(test_support::holds(answered, 7));
    receiver.cancel();
    static_cast<void>(co_await receiver.join());
}

LEVADA_TEST_CASE("an end that its holder lends to a task that it started holds up nobody") {
    auto [tx, rx] = make_ends<int>();
    auto h = spawn(
        [](send_end<int> out, recv_end<int> in) -> task<> {
            auto helper = spawn([&out]() -> task<> {
                co_await sleep_for(1h);
                static_cast<void>(co_await out.send(1));
            });
            auto v = co_await in.recv();
            CHECK(test_support::holds(v, 1));
            static_cast<void>(co_await helper.join());
        },
        std::move(tx), std::move(rx));
    co_await sleep_for(a_while);
    const found f = look();
    INFO(f.text);
    CHECK(f.n == 0);
    static_cast<void>(co_await h.join());
}

LEVADA_TEST_CASE("a detached task does not hold up the region it was started in") {
    mutex m;
    event let_go;
    auto h = spawn([&]() -> task<> {
        auto guard = co_await m.lock();
        spawn([&]() -> task<> {
            co_await shield([&]() -> task<> { auto mine = co_await m.lock(); });
        }).detach();
        auto counted =
            spawn([&]() -> task<> { co_await shield([&]() -> task<> { co_await let_go.wait(); }); });
        co_await sleep_for(1h);
    });
    co_await sleep_for(a_while);
    h.cancel();
    co_await sleep_for(a_while);
    const found f = look();
    INFO(f.text);
    CHECK(f.n == 0);
    let_go.set();
    static_cast<void>(co_await h.join());
    co_await sleep_for(a_while);
}

LEVADA_TEST_CASE("a select is stuck only when all of its arms are") {
    mutex m;
    auto [tx, rx] = make_ends<int>();
    event e;
    auto held = co_await m.lock();
    auto h = spawn(
        [&](send_end<int> kept, recv_end<int> in) -> task<> {
            static_cast<void>(kept);
            static_cast<void>(co_await select(in.recv(), m.lock()));
        },
        std::move(tx), std::move(rx));
    co_await sleep_for(a_while);
    CHECK(look().n == 0); // we hold the mutex
    held.unlock();
    static_cast<void>(co_await h.join());
}

LEVADA_TEST_CASE("what has a deadline is not stuck") {
    mutex m;
    auto h = spawn([&]() -> task<> {
        auto first = co_await m.lock();
        static_cast<void>(co_await with_timeout(1h, m.lock()));
    });
    co_await sleep_for(a_while);
    CHECK(look().n == 0);
    h.cancel();
    static_cast<void>(co_await h.join());
}

LEVADA_TEST_CASE("a receive on a nil channel is stuck, and a group that waits for it too") {
    auto h = spawn([]() -> task<> {
        this_task::name("has the group");
        co_await with_group([](task_group& g) -> task<> {
            g.go([]() -> task<> {
                channel<int> never = nil;
                static_cast<void>(co_await never.recv());
            });
            co_return;
        });
    });
    co_await sleep_for(a_while);
    const found f = look();
    INFO(f.text);
    CHECK(f.n == 2);
    CHECK(has(f.text, "\"has the group\""));
    CHECK(has(f.text, "recv on a nil channel"));
    h.cancel();
    static_cast<void>(co_await h.join());
}

TEST_CASE("the report that all tasks are asleep names the circle") {
    const auto d = test_support::run_to_death([] {
        __libc_single_threaded = 1;
        const int code = levada::run([]() -> task<> {
            mutex m;
            auto first = co_await m.lock();
            auto second = co_await m.lock();
        });
        if (code == 2) std::abort();
    });
    INFO(d.said);
    CHECK(d.aborted);
    CHECK(d.says("a task waits for itself"));
}

namespace {

task<> stuck_in_a_shield(event& never) {
    this_task::name("stuck");
    co_await shield([&never]() -> task<> { co_await never.wait(); });
}
task<> failing_later() {
    this_task::name("the first");
    co_await this_task::yield();
    throw std::runtime_error("the disk is full");
}

} // namespace

TEST_CASE("the failure for which a group was cancelled that cannot be joined is named in both reports") {
    const auto with = [](auto body) {
        return test_support::run_to_death([&body] {
            runtime rt({.loops = 1, .shutdown_limit = 50ms});
            static_cast<void>(rt.run(std::ref(body)));
        });
    };
    const auto check = [](const test_support::death& d) {
        INFO(d.said);
        CHECK(d.aborted);
        const std::size_t asleep = d.said.find("all tasks are asleep");
        const std::size_t too_long = d.said.find("the shutdown took longer than its limit");
        CHECK(asleep < too_long);
        CHECK(too_long != d.said.npos);
        const std::string failure = "deadlock_test.cpp:";
        for (const std::size_t report : {asleep, too_long}) {
            const std::size_t first = d.said.find("task \"the first\" started at", report);
            CHECK(first < (report == asleep ? too_long : d.said.npos));
            const std::string line = d.said.substr(first, d.said.find('\n', first) - first);
            CHECK(has(line, failure));
            CHECK(has(line, ": the disk is full"));
        }
    };
    event never;
    check(with([&never]() -> task<> {
        co_await with_group([&never](task_group& g) -> task<> {
            g.go(stuck_in_a_shield, std::ref(never));
            g.go(failing_later);
            co_return;
        });
    }));
    check(with([&never]() -> task<> {
        wait_group wg;
        wg.go(stuck_in_a_shield, std::ref(never));
        wg.go(failing_later);
        co_await wg.wait();
    }));
}

TEST_CASE("a failure that was told is not told again") {
    const auto d = test_support::run_to_death([] {
        static_cast<void>(run([]() -> task<> {
            task_group g;
            g.go(failing_later);
            try {
                co_await g.wait();
            } catch (const std::runtime_error&) {
            }
            event never;
            co_await never.wait();
        }));
    });
    CHECK(d.says("all tasks are asleep"));
    CHECK_FALSE(d.says("the disk is full"));
}

TEST_CASE("tasks of start, fan_out and worker_pool say where those were asked for") {
    virtual_loop loop(1);
    std::string said;
    unsigned start = 0;
    unsigned fan = 0;
    unsigned pool = 0;
    const auto line = [](std::source_location here = std::source_location::current()) { return here.line(); };
    try {
        loop.run([&]() -> task<> {
            this_task::name("main");
            event never;
            channel<int> jobs;
            channel<int> results;
            auto wait = [&never](int) -> task<> { co_await never.wait(); };
            task_group g;
            g.limit(1);
            start = line() + 1;
            co_await g.start([](event& e) -> task<> { co_await e.wait(); }, std::ref(never));
            g.go([&]() -> task<> {
                std::vector<int> items{1, 2};
                fan = line() + 1;
                co_await fan_out(std::move(items), wait);
            });
            g.go([&]() -> task<> {
                pool = line() + 1;
                co_await worker_pool(1, jobs, results, [](int n) { return n; });
            });
            co_await never.wait();
        });
    } catch (const deadlock& e) {
        said = e.what();
    }
    for (const unsigned n : {start, fan, pool})
        CHECK(has(said, "deadlock_test.cpp:" + std::to_string(n) + ","));
    // The main task of a virtual loop does not know.
    const std::string of_main = "task \"main\" started at an unknown place";
    for (std::size_t at = said.find(of_main); at != said.npos; at = said.find(of_main))
        said.erase(at, of_main.size());
    CHECK_FALSE(has(said, "unknown place"));
}
