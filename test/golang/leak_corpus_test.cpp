// The patterns by which Go programs leak goroutines (Saioc et al., "Unveiling and Vanquishing Goroutine Leaks
// in Enterprise Microservices", CGO 2024; the same in Uber's goleak and LeakProf), written as one would write
// them here: what cannot be written, what ends by itself, and what is caught.

#include <support.hpp>

#include <string>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using levada::testing::leak_guard;

namespace {

/// What a guard would have failed with.
std::string leaks(leak_guard& g) {
    std::string report = g.leaked();
    leak_guard::handler before = leak_guard::on_leak([](const std::string&) {});
    g.check();
    leak_guard::on_leak(before);
    return report;
}

bool has(const std::string& text, const std::string& what) { return text.find(what) != text.npos; }

} // namespace

// 1. No close while ranging.

LEVADA_TEST_CASE(
    "no close while ranging: with plain handles and go, the guard names the consumer and its await") {
    leak_guard guard;
    channel<int> ch;
    go([ch]() -> task<> {
        this_task::name("consumer");
        while (auto v = co_await ch.recv()) static_cast<void>(v);
    });
    for (int i = 0; i < 3; ++i) static_cast<void>(co_await ch.send(i));
    co_await sleep_for(1ms); // no ch.close()
    const std::string report = leaks(guard);
    INFO(report);
    CHECK(has(report, "\"consumer\""));
    CHECK(has(report, "recv on a rendezvous channel made at "));
}

LEVADA_TEST_CASE("no close while ranging: with counted ends the channel closes when its last sender goes") {
    leak_guard guard;
    auto [tx, rx] = make_ends<int>();
    int sum = 0;
    co_await with_group([&](task_group& g) -> task<> {
        g.go(
            [](recv_end<int> in, int& total) -> task<> {
                while (auto v = co_await in.recv()) total += *v;
            },
            std::move(rx), std::ref(sum));
        g.go(
            [](send_end<int> out) -> task<> {
                for (int i = 1; i <= 3; ++i) static_cast<void>(co_await out.send(i));
            },
            std::move(tx));
        co_return;
    });
    CHECK(sum == 6);
}

LEVADA_TEST_CASE(
    "no close while ranging: a consumer that keeps a sender alive itself is found as a deadlock") {
    auto [tx, rx] = make_ends<int>();
    auto h = spawn(
        [](send_end<int> mine, recv_end<int> in) -> task<> {
            static_cast<void>(mine);
            while (auto v = co_await in.recv()) static_cast<void>(v);
        },
        std::move(tx), std::move(rx));
    co_await sleep_for(1ms);
    std::ostringstream out;
    CHECK(debug::find_deadlocks(out) == 1);
    h.cancel();
    static_cast<void>(co_await h.join());
}

// 2. Early return: the parent leaves before it has received.

LEVADA_TEST_CASE("early return: the handle of the child goes with its parent, which cancels the child") {
    leak_guard guard;
    const auto parent = [](bool fails) -> task<result<int>> {
        channel<int> ch;
        auto child = spawn([ch]() -> task<> { static_cast<void>(co_await ch.send(42)); });
        if (fails) co_return fail(errc::closed); // nobody receives
        auto v = co_await ch.recv();
        static_cast<void>(co_await child.join());
        co_return v;
    };
    auto r = co_await parent(true);
    CHECK(!r);
    auto good = co_await parent(false);
    CHECK(test_support::holds(good, 42));
    co_await this_task::yield(); // the cancelled child unwinds
    co_await sleep_for(1ms);
}

LEVADA_TEST_CASE("early return: with go, as in Go, the guard names the sender") {
    leak_guard guard;
    channel<int> ch;
    go([ch]() -> task<> { static_cast<void>(co_await ch.send(42)); });
    co_await sleep_for(1ms); // "if err != nil { return }"
    const std::string report = leaks(guard);
    INFO(report);
    CHECK(has(report, "send on a rendezvous channel made at "));
}

// 3. Double send: a return is missing after the send of the error.

LEVADA_TEST_CASE("double send: the second send of a child that is joined by its group ends with the group") {
    leak_guard guard;
    std::vector<int> got;
    auto in_time = co_await with_timeout(1s, [&]() -> task<> {
        co_await with_group([&](task_group& g) -> task<> {
            channel<int> ch;
            g.go([ch]() -> task<> {
                static_cast<void>(co_await ch.send(-1)); // the error; "return" is missing
                static_cast<void>(co_await ch.send(1));
            });
            got.push_back((co_await ch.recv()).value());
        });
    });
    CHECK(in_time.error() == errc::timed_out); // the group waits: it is seen, and does not leak
    CHECK(got == std::vector<int>{-1});
}

LEVADA_TEST_CASE("double send: a value cannot be sent twice by one who returns it") {
    leak_guard guard;
    // The child gives its outcome by returning it, once; the type says so.
    auto child = spawn([]() -> task<result<int>> { co_return fail(errc::closed); });
    auto r = co_await child.join();
    CHECK(r.error() == errc::closed);
}

// 4. The receiver has gone after a timeout.

LEVADA_TEST_CASE("missing receiver after a timeout: the call that times out is cancelled and joined") {
    leak_guard guard;
    bool unwound = false;
    auto r = co_await with_timeout(10ms, [&]() -> task<int> {
        defer bye([&]() noexcept { unwound = true; });
        co_await sleep_for(1h);
        co_return 1;
    });
    CHECK(r.error() == errc::timed_out);
    CHECK(unwound);
}

LEVADA_TEST_CASE(
    "missing receiver after a timeout: by hand, with select and go, the guard names the sender") {
    leak_guard guard;
    channel<int> done;
    go([done]() -> task<> {
        co_await sleep_for(1s);
        static_cast<void>(co_await done.send(1));
    });
    auto s = co_await select(done.recv(), after(10ms));
    CHECK(s.index() == 1);
    co_await sleep_for(2s);
    const std::string report = leaks(guard);
    INFO(report);
    CHECK(has(report, "send on a rendezvous channel"));
}

// 5. Many senders, one receive.

LEVADA_TEST_CASE("many senders, one receive: when_any cancels the losers and joins them") {
    leak_guard guard;
    const auto backend = [](duration d, int v) -> task<int> {
        co_await sleep_for(d);
        co_return v;
    };
    auto first = co_await when_any([&] { return backend(30ms, 1); }, [&] { return backend(10ms, 2); },
                                   [&] { return backend(20ms, 3); });
    CHECK(first.index() == 1);
}

LEVADA_TEST_CASE("many senders, one receive: by hand, the guard names those that are left") {
    leak_guard guard;
    channel<int> answers;
    for (int i = 0; i < 3; ++i) go([answers, i]() -> task<> { static_cast<void>(co_await answers.send(i)); });
    static_cast<void>(co_await answers.recv());
    co_await sleep_for(1ms);
    const std::string report = leaks(guard);
    INFO(report);
    std::size_t n = 0;
    for (auto at = report.find("  task "); at != report.npos; at = report.find("  task ", at + 1)) ++n;
    CHECK(n == 2);
}

// 6. The forgotten cancel.

LEVADA_TEST_CASE("forgotten cancel: a source that goes cancels what hangs below it") {
    leak_guard guard;
    {
        cancel_source src;
        go([](cancel_token stop) -> task<> { static_cast<void>(co_await stop.done()); }, src.token());
        co_await sleep_for(1ms);
    } // no "defer cancel()" to forget
    co_await sleep_for(1ms);
}

// 7. Waiting for a group that nobody counts down.

LEVADA_TEST_CASE("a wait_group that is not counted down: the guard names who waits for it") {
    leak_guard guard;
    wait_group wg;
    wg.add(1);
    auto h = spawn([&]() -> task<> { co_await wg.wait(); });
    co_await sleep_for(1ms);
    const std::string report = leaks(guard);
    INFO(report);
    CHECK(has(report, "wait_group::wait"));
    wg.done();
    static_cast<void>(co_await h.join());
}

// 8. A nil channel.

LEVADA_TEST_CASE("a nil channel: who waits there is found as a deadlock") {
    auto h = spawn([]() -> task<> {
        channel<int> never = nil;
        static_cast<void>(co_await never.recv());
    });
    co_await sleep_for(1ms);
    std::ostringstream out;
    CHECK(debug::find_deadlocks(out) == 1);
    CHECK(has(out.str(), "recv on a nil channel"));
    h.cancel();
    static_cast<void>(co_await h.join());
}

// 9. Close twice, send after close: not leaks, but their neighbours; in Go they panic.

LEVADA_TEST_CASE("a second close and a send after close are outcomes") {
    channel<int> ch(1);
    CHECK(ch.close());
    CHECK(!ch.close());
    auto sent = co_await ch.send(1);
    CHECK(sent.error() == errc::closed);
}
