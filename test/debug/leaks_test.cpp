#include <support.hpp>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

task<> waits(channel<int> ch) {
    this_task::name("left behind");
    static_cast<void>(co_await ch.recv());
}

template <class F>
test_support::death told_by(F f) {
    return test_support::run_to_death([&] {
        debug::report_leaks();
        static_cast<void>(levada::run(f));
    });
}

} // namespace

TEST_CASE("a handle that is dropped while its task waits is told, with where that waits") {
    const auto d = told_by([]() -> task<> {
        {
            auto h = spawn(waits, channel<int>());
            co_await test_support::until_parked(h);
        }
        co_await test_support::until_all_parked();
    });
    INFO(d.said);
    CHECK(d.says("a join_handle is dropped, which cancels its task"));
    CHECK(d.says("\"left behind\""));
    CHECK(d.says("recv on a rendezvous channel made at "));
    CHECK(!d.says("the main task has ended"));
}

TEST_CASE("a handle that is dropped as its owner unwinds is not told") {
    const auto d = told_by([]() -> task<> {
        auto owner = spawn([]() -> task<> {
            auto h = spawn(waits, channel<int>());
            static_cast<void>(co_await h.join());
        });
        co_await test_support::until_parked(owner);
        owner.cancel();
        static_cast<void>(co_await owner.join());
    });
    INFO(d.said);
    CHECK(d.said.empty());
}

TEST_CASE("tasks that live on when main ends are told") {
    const auto d = told_by([]() -> task<> {
        go(waits, channel<int>());
        co_await test_support::until_all_parked();
    });
    INFO(d.said);
    CHECK(d.says("the main task has ended, and what still lives is cancelled"));
    CHECK(d.says("\"left behind\""));
}

TEST_CASE("a program that joins all of its tasks is told nothing, nor one that did not ask") {
    const auto body = []() -> task<> {
        auto h = spawn([]() -> task<> { co_await sleep_for(1ms); });
        static_cast<void>(co_await h.join());
    };
    CHECK(told_by(body).said.empty());
    const auto d = test_support::run_to_death([] {
        static_cast<void>(levada::run([]() -> task<> {
            go(waits, channel<int>());
            co_await test_support::until_all_parked();
        }));
    });
    CHECK(d.said.empty());
}
