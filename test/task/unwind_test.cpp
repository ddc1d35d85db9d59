// Cancelling a task unwinds it: order, completeness, and what does not happen.

#include <support.hpp>

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <levada/channel/channel.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/this_task.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::mourner;
using test_support::until_all_parked;
using test_support::until_parked;

namespace {

task<> forever() { co_await sleep_for(std::chrono::hours::max()); }
task<> nothing() { co_return; }
task<> slow_to_go(std::string& log, char letter, duration d) {
    mourner m(log, letter);
    auto cut = co_await or_cancelled(sleep_for(24h));
    static_cast<void>(cut);
    co_await shield([](duration wait) -> task<> { co_await sleep_for(wait); }, d);
}
/// The same, until something happens.
task<> stays_until(std::string& log, char letter, event& goes) {
    mourner m(log, letter);
    auto cut = co_await or_cancelled(sleep_for(24h));
    static_cast<void>(cut);
    co_await shield([&goes]() -> task<> { co_await goes.wait(); });
}

} // namespace

TEST_TASK("frames go from leaf to root") {
    std::string log;
    auto leaf = [](std::string& l) -> task<> {
        mourner m(l, '3');
        co_await forever();
    };
    auto middle = [&leaf](std::string& l) -> task<> {
        mourner m(l, '2');
        co_await leaf(l);
    };
    auto h = spawn(
        [&](std::string& l) -> task<> {
            mourner m(l, '1');
            co_await middle(l);
        },
        std::ref(log));
    co_await until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(log == "321");
}

TEST_TASK("locals go in reverse order, and those after the await were never made") {
    std::string log;
    auto h = spawn([&log]() -> task<> {
        mourner a(log, 'a');
        mourner b(log, 'b');
        {
            mourner c(log, 'c');
            co_await forever();
        }
        mourner d(log, 'd');
    });
    co_await until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(log == "cba");
}

TEST_TASK("a task object declared before a local that it uses does not outlive that local's use") {
    // Destroying the root alone would destroy `used` first and the frame that uses it afterwards.
    std::string log;
    auto h = spawn([&log]() -> task<> {
        auto body = [&log](std::unique_ptr<std::string>& u) -> task<> {
            defer d([&] { log += *u; });
            co_await forever();
        };
        std::unique_ptr<std::string> used;
        task<> t = body(used);
        auto later = std::make_unique<std::string>("u");
        used = std::move(later);
        co_await std::move(t);
    });
    co_await until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(log == "u");
}

TEST_TASK("nothing catches an unwinding, and uncaught_exceptions is 0 in it") {
    int uncaught = -1;
    bool told = false;
    bool caught = false;
    auto h = spawn([&]() -> task<> {
        defer d([&] {
            uncaught = std::uncaught_exceptions();
            told = this_task::unwinding();
        });
        try {
            co_await forever();
        } catch (...) {
            caught = true;
            throw;
        }
    });
    co_await until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(!caught);
    REQUIRE(uncaught == 0);
    REQUIRE(told);
    REQUIRE(!this_task::unwinding());
}

TEST_TASK_STAGED("a cancelled task unwinds at its next operation, ready or not") {
    channel<int> ch(1);
    REQUIRE(ch.try_send(1));
    bool reached = false;
    auto h = spawn([&]() -> task<> {
        auto r = co_await ch.recv();
        reached = true;
        static_cast<void>(r);
    });
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(!reached);
    REQUIRE(ch.size() == 1);
}

TEST_TASK("try_ forms, awaiting a task, and entering regions are no operations") {
    std::string log;
    channel<int> ch(1);
    auto h = spawn([&]() -> task<> {
        auto sent = ch.try_send(1);
        log += sent ? 's' : '!';
        auto got = ch.try_recv();
        log += got ? 'r' : '!';
        co_await nothing();
        log += 'a';
        auto t = co_await with_timeout(1h, []() -> task<int> { co_return 1; });
        log += t ? 't' : '!';
        auto k = co_await with_token(cancel_token(), [] { return 1; });
        log += k ? 'k' : '!';
        co_await with_group([](task_group&) -> task<> { co_return; });
        log += 'g';
        co_await shield(nothing);
        log += 'h';
        co_await this_task::yield();
        log += '!';
    });
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(log == "sratkgh");
}

TEST_TASK("a cancelled task may still throw, and its exception goes to who joins it") {
    auto h = spawn([]() -> task<> {
        throw std::runtime_error("all the same");
        co_return;
    });
    h.cancel();
    bool caught = false;
    try {
        auto r = co_await h.join();
        static_cast<void>(r);
    } catch (const std::runtime_error&) {
        caught = true;
    }
    REQUIRE(caught);
}

TEST_TASK("children first: one that needs time to go is awaited before any frame of its parent goes") {
    std::string log;
    event goes;
    auto h = spawn([&]() -> task<> {
        mourner outer(log, 'o');
        auto child = spawn(stays_until, std::ref(log), 'c', std::ref(goes));
        auto inner = [](std::string& l) -> task<> {
            mourner m(l, 'i');
            co_await forever();
        };
        co_await inner(log);
    });
    co_await until_all_parked();
    h.cancel();
    co_await until_all_parked();
    REQUIRE(log.empty());
    goes.set();
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(log == "cio");
}

TEST_TASK("children first: also grandchildren, and those whose handle was dropped") {
    std::string log;
    event first_has_gone;
    auto h = spawn([&]() -> task<> {
        mourner parent(log, 'p');
        auto child = spawn([&]() -> task<> {
            mourner m(log, 'c');
            {
                auto dropped = spawn(stays_until, std::ref(log), 'd', std::ref(first_has_gone));
                co_await until_parked(dropped);
            }
            auto grandchild = spawn([&]() -> task<> {
                const defer gone([&]() noexcept { first_has_gone.set(); });
                co_await slow_to_go(log, 'g', 3ms);
            });
            co_await forever();
        });
        co_await forever();
    });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    REQUIRE(log == "gdcp");
}

TEST_TASK("children first: a task of the parent's that has ended leaves its own child to be awaited") {
    std::string log;
    auto h = spawn([&log]() -> task<> {
        mourner grandparent(log, 'g');
        join_handle<> inner;
        auto middle = spawn([&]() -> task<> {
            inner = spawn(slow_to_go, std::ref(log), 'i', 5ms);
            co_return;
        });
        auto ended = co_await middle.join();
        CHECK(ended);
        co_await forever();
    });
    co_await until_all_parked();
    h.cancel();
    auto r = co_await h.join();
    REQUIRE(!r);
    CHECK(log == "ig");
    co_await sleep_for(10ms);
}

TEST_TASK("children first: in a region that times out") {
    std::string log;
    auto r = co_await with_timeout(1ms, [&log]() -> task<> {
        mourner m(log, 'b');
        auto h = spawn(slow_to_go, std::ref(log), 'c', 5ms);
        co_await forever();
    });
    log += 'r';
    REQUIRE(r.error() == errc::timed_out);
    REQUIRE(log == "cbr");
}

TEST_TASK("a region that times out does not cancel what its task started outside") {
    std::string log;
    auto h = spawn(slow_to_go, std::ref(log), 'o', 1ms);
    auto r = co_await with_timeout(1ms, forever);
    REQUIRE(!r);
    co_await sleep_for(10ms);
    REQUIRE(log.empty());
    h.cancel();
    auto end = co_await h.join();
    REQUIRE(end.has_value());
    REQUIRE(log == "o");
}

TEST_TASK("detached children are not awaited, but stay under the tokens they were started under") {
    std::string log;
    event goes;
    auto h = spawn([&]() -> task<> {
        mourner m(log, 'p');
        auto child = spawn(stays_until, std::ref(log), 'd', std::ref(goes));
        co_await until_parked(child);
        child.detach();
        co_await forever();
    });
    co_await until_parked(h);
    h.cancel();
    auto r = co_await h.join();
    log += 'j';
    REQUIRE(!r);
    goes.set();
    while (log.size() < 3) co_await this_task::yield();
    REQUIRE(log == "pjd");
}

TEST_TASK("a detached child is cancelled by its parent's token after the parent has ended") {
    std::string log;
    cancel_source src;
    auto r = co_await with_token(src.token(), [&]() -> task<> {
        auto h = spawn([&log]() -> task<> {
            auto child = spawn([&log]() -> task<> {
                mourner m(log, 'd');
                co_await forever();
            });
            co_await until_parked(child);
            child.detach();
        });
        auto end = co_await h.join();
        CHECK(end);
        CHECK(log.empty());
        src.cancel();
    });
    REQUIRE(r);
    while (log.empty()) co_await this_task::yield(); // its loop has to come to it
    REQUIRE(log == "d");
}

TEST_TASK("a cancel inside a cancel: a destructor that cancels its own task again changes nothing") {
    auto shared = std::make_shared<join_handle<>>();
    *shared = spawn(
        [](std::weak_ptr<join_handle<>> self) -> task<> {
            defer d([self] {
                auto h = self.lock();
                if (h && *h) CHECK(!h->cancel());
            });
            co_await forever();
        },
        std::weak_ptr<join_handle<>>(shared));
    co_await until_parked(*shared);
    shared->cancel();
    auto r = co_await shared->join();
    REQUIRE(!r);
}

TEST_TASK("a destructor that wakes others while its task unwinds does not lose them") {
    channel<int> ch(1);
    auto h = spawn([ch]() -> task<> {
        defer d([ch] { CHECK(ch.try_send(5)); });
        co_await forever();
    });
    auto waiter = spawn([ch]() -> task<int> {
        auto r = co_await ch.recv();
        co_return r.value_or(0);
    });
    co_await until_parked(h);
    co_await until_parked(waiter);
    h.cancel();
    auto r = co_await waiter.join();
    REQUIRE(test_support::holds(r, 5));
}

TEST_TASK("a task cancels itself through its token's source and unwinds at the next operation") {
    cancel_source src;
    std::string log;
    auto r = co_await with_token(src.token(), [&]() -> task<> {
        mourner m(log, 'm');
        src.cancel();
        log += 'n';
        co_await this_task::yield();
        log += '!';
    });
    REQUIRE(!r);
    REQUIRE(log == "nm");
}
