#include <support.hpp>

#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

struct temporary {
    std::string path = "/tmp/levada_trace_" + std::to_string(::getpid()) + ".json";
    ~temporary() { std::remove(path.c_str()); }
    [[nodiscard]] std::string text() const {
        std::ifstream in(path);
        return {std::istreambuf_iterator<char>(in), {}};
    }
};

/// A trace ends the ownership when it begins.
using test_support::owned_as_before;

std::size_t count(const std::string& text, const std::string& what) {
    std::size_t n = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
    return n;
}

} // namespace

TEST_CASE("one trace is taken at a time") {
    const owned_as_before after;
    const temporary file;
    debug::trace first(file.path);
    CHECK_THROWS_AS(debug::trace("/tmp/another"), std::logic_error);
    static_cast<void>(first.stop());
    CHECK(first.stop().events == 0); // done already
    debug::trace second(file.path);
}

TEST_CASE("a trace that cannot be written says so, and the next can be taken") {
    const owned_as_before after;
    debug::trace t("/no/such/folder/file");
    CHECK_THROWS_WITH(t.stop(),
                      Catch::Matchers::ContainsSubstring("cannot be written to /no/such/folder/file"));
    const temporary file;
    debug::trace next(file.path);
    CHECK_NOTHROW(next.stop());
}

TEST_CASE("a full disk is an error of the trace") {
    const owned_as_before after;
    debug::trace t("/dev/full");
    CHECK_THROWS_AS(t.stop(), std::system_error);
}

TEST_CASE("names with quotes and task_block characters stay valid, and each trace begins anew") {
    const owned_as_before after;
    const temporary file;
    const auto traced = [&](const char* name) {
        debug::trace t(file.path);
        virtual_loop loop;
        loop.run([name]() -> task<> {
            this_task::name(name);
            co_await this_task::yield();
            co_await sleep_for(1ms);
        });
        static_cast<void>(t.stop());
        return file.text();
    };
    const std::string first = traced("a \"name\"\n\\");
    CHECK(count(first, "\"name\":\"a \\\"name\\\"") >= 1);
    const std::string second = traced("other");
    CHECK(count(second, "a \\\"name") == 0);
    CHECK(count(second, "\"other\"") >= 1);
}

TEST_CASE("a trace of four loops and a plain thread has each of their wake-ups, and drops nothing") {
    const owned_as_before after;
    const test_support::with_loops unset;
    const temporary file;
    debug::trace t(file.path);
    runtime rt({.loops = 4, .eager = true});
    channel<int> ch;
    std::thread outside([ch] {
        for (int i = 0; i < 100; ++i) static_cast<void>(ch.send_blocking(i));
        ch.close();
    });
    rt.run([&]() -> task<> {
        while (auto v = co_await ch.recv()) co_await this_task::yield();
    });
    outside.join();
    const auto sum = t.stop();
    CHECK(sum.dropped == 0);
    CHECK(sum.events > 200);
    const std::string text = file.text();
    CHECK(count(text, "recv on a rendezvous channel made at") >= 101);
    CHECK(text.ends_with("\"otherData\":{\"dropped\":\"0\"}}\n"));
}

TEST_CASE("what a woken task waited for may be gone before it runs") {
    const owned_as_before after;
    const temporary file;
    {
        debug::trace t(file.path);
        virtual_loop loop;
        loop.run([]() -> task<> {
            auto ch = std::make_unique<channel<int>>();
            auto receiver =
                spawn([](const channel<int>& from) -> task<> { static_cast<void>(co_await from.recv()); },
                      std::cref(*ch));
            auto ev = std::make_unique<event>();
            auto waiter = spawn([](event& e) -> task<> { co_await e.wait(); }, std::ref(*ev));
            co_await test_support::until_parked(receiver);
            co_await test_support::until_parked(waiter);
            static_cast<void>(ch->try_send(7));
            ch.reset();
            ev->set();
            ev.reset();
            static_cast<void>(co_await receiver.join());
            static_cast<void>(co_await waiter.join());
        });
        static_cast<void>(t.stop());
    }
    CHECK(count(file.text(), "\"waited for\":\"recv on a rendezvous channel made at") == 1);
    CHECK(count(file.text(), "\"waited for\":\"event::wait\"") == 1);
}
