#include <support.hpp>

#include <string>

#include <levada/channel/channel.hpp>
#include <levada/sync/timer.hpp>

using namespace levada;
using namespace std::chrono_literals;
using levada::testing::leak_guard;

namespace {

std::string told; // by the handler below
void tell(const std::string& report) { told = report; }

} // namespace

LEVADA_TEST_CASE("a guard is content with tasks that were there before, and with those that have ended") {
    channel<int> ch;
    auto before = spawn([ch]() -> task<> { static_cast<void>(co_await ch.recv()); });
    co_await test_support::until_parked(before);
    {
        leak_guard guard;
        auto h = spawn([]() -> task<> { co_await sleep_for(1ms); });
        static_cast<void>(co_await h.join());
        CHECK(guard.leaked().empty());
    }
    ch.close();
    static_cast<void>(co_await before.join());
}

LEVADA_TEST_CASE("a guard tells of a task that still waits when its scope ends, once, with where it began") {
    told.clear();
    const auto before = leak_guard::on_leak(tell);
    channel<int> ch;
    join_handle<> h;
    const int line = __LINE__ + 2;
    {
        leak_guard guard;
        h = spawn([ch]() -> task<> { static_cast<void>(co_await ch.recv()); });
        co_await test_support::until_parked(h);
    }
    leak_guard::on_leak(before);
    CHECK(told.find("leak_guard_test.cpp:" + std::to_string(line) + " still wait") != told.npos);
    CHECK(told.find("recv on a rendezvous channel") != told.npos);
    CHECK(told.find("    at ") != told.npos);
    ch.close();
    static_cast<void>(co_await h.join());
}

TEST_CASE("without a test framework a leak terminates the program") {
    const auto d = test_support::run_to_death([] {
        leak_guard::on_leak(levada::testing::on_leak_before); // Catch2's has taken its place
        virtual_loop loop;
        loop.run([]() -> task<> {
            leak_guard guard;
            channel<int> ch;
            go([ch]() -> task<> { static_cast<void>(co_await ch.recv()); });
            co_await sleep_for(1ms);
        });
    });
    CHECK(d.aborted);
    CHECK(d.says("still wait"));
}
