#include <support.hpp>

#include <atomic>
#include <csignal>
#include <iostream>
#include <sstream>
#include <streambuf>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <levada/detail/task/handle_access.hpp>
#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

std::string dump() {
    std::ostringstream out;
    static_cast<void>(debug::dump_tasks(out));
    return out.str();
}

std::size_t count(const std::string& text, const std::string& what) {
    std::size_t n = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
    return n;
}

bool has(const std::string& text, const std::string& what) { return text.find(what) != text.npos; }

std::string here(int line) { return "dump_test.cpp:" + std::to_string(line); }

constexpr int line_of_inner = __LINE__ + 1;
task<> inner(channel<int> ch) { static_cast<void>(co_await ch.recv()); }
task<> outer(channel<int> ch) {
    this_task::name("the receiver");
    co_await inner(ch); // line_of_inner + 3
}

} // namespace

TEST_CASE(
    "a dump tells of each task its name, where it was started, what it waits for, for how long, and where") {
    std::string text;
    std::size_t n = 0;
    const int line = __LINE__;
    virtual_loop loop;
    loop.run([&]() -> task<> {
        channel<int> ch(3);
        auto h = spawn(outer, ch); // line + 4
        co_await sleep_for(1500ms);
        std::ostringstream out;
        n = debug::dump_tasks(out);
        text = out.str();
        ch.close();
        static_cast<void>(co_await h.join());
    });
    INFO(text);
    CHECK(n == 2); // the main task too
    CHECK(has(text, "task \"the receiver\" started at "));
    CHECK(has(text, here(line + 4)));
    CHECK(has(text, "waits for recv on a channel of 3 made at "));
    CHECK(has(text, here(line + 3)));
    CHECK(has(text, "(0 buffered, 1 receiving, 0 sending; 3 handles), for 1500 ms"));
    CHECK(has(text, here(line_of_inner) + " in "));
    CHECK(has(text, here(line_of_inner + 3) + " in "));
    CHECK(has(text, "runs or is ready to"));
    CHECK(has(text, "2 tasks\n"));
}

TEST_CASE("a dump tells what a channel holds and who waits at it") {
    std::string text;
    virtual_loop loop;
    loop.run([&]() -> task<> {
        channel<int> full(2);
        co_await with_group([&](task_group& g) -> task<> {
            for (int i = 0; i < 5; ++i)
                g.go([full, i]() -> task<> { static_cast<void>(co_await full.send(i)); });
            co_await sleep_for(1ms);
            text = dump();
            g.cancel();
        });
    });
    INFO(text);
    CHECK(count(text, "send on a channel of 2") == 3);
    CHECK(count(text, "(2 buffered, 0 receiving, 3 sending; 4 handles)") == 3);
}

TEST_CASE("a dump tells whose group a task waits for, and where, also behind nested regions") {
    std::string text;
    const int line = __LINE__;
    virtual_loop loop;
    loop.run([&]() -> task<> {
        event done;
        auto h = spawn([&]() -> task<> {
            auto in_time = co_await with_timeout(1h, [&]() -> task<> {
                co_await with_group([&](task_group& g) -> task<> { // line + 6
                    g.go([&]() -> task<> { co_await done.wait(); });
                    co_return;
                });
            });
            static_cast<void>(in_time);
        });
        co_await sleep_for(1ms);
        text = dump();
        done.set();
        static_cast<void>(co_await h.join());
    });
    INFO(text);
    CHECK(has(text, "waits for the tasks of its group"));
    // The frames of its two regions: compilers differ in the line of an expression that has several.
    bool in_expression = false;
    for (int l = line + 4; l <= line + 12; ++l) in_expression |= has(text, here(l) + " in ");
    CHECK(in_expression);
    CHECK(has(text, "waits for event::wait"));
}

TEST_CASE("a dump tells of a task that unwinds and waits for its children") {
    std::string text;
    virtual_loop loop;
    loop.run([&]() -> task<> {
        event let_go;
        auto h = spawn([&]() -> task<> {
            auto child =
                spawn([&]() -> task<> { co_await shield([&]() -> task<> { co_await let_go.wait(); }); });
            static_cast<void>(co_await child.join());
        });
        co_await test_support::until_parked(h);
        h.cancel();
        co_await sleep_for(1ms);
        text = dump();
        let_go.set();
        static_cast<void>(co_await h.join());
    });
    INFO(text);
    CHECK(has(text, "unwinds and waits for its children"));
}

TEST_CASE("a dump of a running program sees each task that is there throughout once, and loses nothing") {
    // Four loops on which tasks start, end, wake each other and are cancelled, while a plain thread dumps.
    const test_support::with_loops unset;
    runtime rt({.loops = 4, .eager = true});
    std::atomic<bool> stop = false;
    std::atomic<int> dumps = 0;
    std::atomic<bool> counted_right = true;
    constexpr int parked = 200;
    long received = 0;
    long sent = 0;
    std::atomic<int> there = 0;
    std::thread dumper([&] {
        while (there < parked) std::this_thread::yield();
        while (!stop) {
            const std::string text = dump();
            if (count(text, "\"one of the parked\"") != parked) counted_right = false;
            ++dumps;
        }
    });
    rt.run([&]() -> task<> {
        channel<int> never;
        channel<int> numbers(8);
        event all_done;
        for (int i = 0; i < parked; ++i)
            go([&]() -> task<> {
                this_task::name("one of the parked");
                ++there;
                static_cast<void>(co_await select(never.recv(), all_done.wait()));
            });
        while (there < parked) co_await this_task::yield();
        wait_group senders;
        std::atomic<long> sum = 0;
        for (int s = 0; s < 4; ++s)
            senders.go([&]() -> task<> {
                for (int i = 0; i < 2000 || dumps < 3; ++i) {
                    auto child = spawn([&]() -> task<> {
                        auto r = co_await with_timeout(10s, numbers.send(1));
                        if (r) sum += 1;
                    });
                    if (i % 3 == 0) child.cancel();
                    static_cast<void>(co_await child.join());
                }
            });
        auto receiver = spawn([&]() -> task<long> {
            long n = 0;
            while (auto v = co_await numbers.recv()) n += *v;
            co_return n;
        });
        co_await senders.wait();
        numbers.close();
        received = (co_await receiver.join()).value();
        sent = sum;
        stop = true;
        dumper.join();
        all_done.set();
    });
    CHECK(counted_right);
    CHECK(dumps >= 3);
    CHECK(received == sent);
}

TEST_CASE("a dump taken while tasks with children end does not lose its way") {
    const test_support::with_loops unset;
    runtime rt({.loops = 2, .eager = true});
    std::atomic<bool> stop = false;
    std::atomic<int> dumps = 0;
    std::thread dumper([&] {
        while (!stop) {
            static_cast<void>(dump());
            ++dumps;
        }
    });
    rt.run([&]() -> task<> {
        for (int i = 0; i < 500 || dumps < 3; ++i)
            co_await with_group([&](task_group& g) -> task<> {
                for (int k = 0; k < 4; ++k)
                    g.go([]() -> task<> {
                        auto child = spawn([]() -> task<> { co_await this_task::yield(); });
                        cancel_source below(this_task::token());
                        static_cast<void>(co_await with_token(
                            below.token(), []() -> task<> { co_await this_task::yield(); }));
                        child.detach(); // it may outlive the one who started it
                    });
                co_return;
            });
    });
    stop = true;
    dumper.join();
    CHECK(dumps >= 3);
}

TEST_CASE("a task that is looked at is claimed once the look is over") {
    const test_support::as_if_threads_ran threads;
    virtual_loop loop;
    loop.run([]() -> task<> {
        channel<int> ch;
        auto h = spawn([ch]() -> task<int> { co_return (co_await ch.recv()).value(); });
        co_await test_support::until_parked(h);
        auto& block = levada::detail::handle_access::block(h);
        REQUIRE(block.begin_look());
        std::atomic<bool> began = false;
        result<void> sent = fail(errc::full);
        std::thread other([&] {
            began = true;
            sent = ch.try_send(7);
        });
        while (!began) std::this_thread::yield();
        for (int i = 0; i < 100; ++i) std::this_thread::yield(); // it waits by now; right in any case
        CHECK(block.state() == detail::park_state::looked_at);
        block.end_look();
        other.join();
        CHECK(sent.has_value());
        auto got = co_await h.join();
        CHECK(test_support::holds(got, 7));
    });
}

TEST_CASE("a task that is looked at is cancelled once the look is over") {
    const test_support::as_if_threads_ran threads;
    virtual_loop loop;
    loop.run([]() -> task<> {
        channel<int> ch;
        auto h = spawn([ch]() -> task<> { static_cast<void>(co_await ch.recv()); });
        co_await test_support::until_parked(h);
        auto& block = levada::detail::handle_access::block(h);
        REQUIRE(block.begin_look());
        std::atomic<bool> began = false;
        std::thread other([&] {
            began = true;
            h.cancel();
        });
        while (!began) std::this_thread::yield();
        for (int i = 0; i < 100; ++i) std::this_thread::yield();
        block.end_look();
        other.join();
        auto got = co_await h.join();
        CHECK(got.error() == errc::cancelled);
    });
}

TEST_CASE("a dump of 100000 parked tasks lists them all") {
    std::size_t n = 0;
    std::string text;
    virtual_loop loop;
    loop.run([&]() -> task<> {
        channel<int> ch;
        for (int i = 0; i < 100'000; ++i) go(inner, ch);
        co_await sleep_for(1ms);
        std::ostringstream out;
        n = debug::dump_tasks(out);
        text = out.str();
    });
    CHECK(n == 100'001);
    CHECK(count(text, here(line_of_inner) + " in ") == 100'000);
    CHECK(has(text, "more than 100 receiving"));
}

namespace {

/// Passes on what is written, and tells when there was something in it.
class listener : public std::streambuf {
public:
    listener(std::streambuf& to, std::string what) : to_(to), what_(std::move(what)) {}
    [[nodiscard]] bool heard() const noexcept { return heard_; }

protected:
    std::streamsize xsputn(const char* s, std::streamsize n) override {
        written_.append(s, static_cast<std::size_t>(n));
        const std::streamsize passed = to_.sputn(s, n);
        if (has(written_, what_)) heard_ = true;
        return passed;
    }
    int_type overflow(int_type c) override {
        const char one = traits_type::to_char_type(c);
        return xsputn(&one, 1) == 1 ? c : traits_type::eof();
    }

private:
    std::streambuf& to_;
    const std::string what_;
    std::string written_; // by one thread at a time
    std::atomic<bool> heard_ = false;
};

} // namespace

TEST_CASE("a signal makes the program write its tasks, and it goes on") {
    const auto d = test_support::run_to_death([] {
        listener tasks(*std::cerr.rdbuf(), "\"the receiver\"");
        std::cerr.rdbuf(&tasks);
        const int code = levada::run([&tasks]() -> task<> {
            debug::dump_on_signal({SIGQUIT, SIGUSR1});
            channel<int> ch;
            go(outer, ch);
            co_await test_support::until_all_parked();
            ::raise(SIGQUIT);
            co_await sleep_for(1ms);
            ::raise(SIGUSR1);
            // Main's end takes back what is not written yet.
            for (int i = 0; i < 30'000 && !tasks.heard(); ++i) co_await sleep_for(1ms);
        });
        if (code == 0) std::abort();
    });
    INFO(d.said);
    CHECK(d.aborted);
    CHECK(d.says("levada: all tasks:"));
    CHECK(d.says("\"the receiver\""));
}

TEST_CASE("a dump on what is no signal is refused") {
    static_cast<void>(levada::run([]() -> task<> {
        CHECK_THROWS_WITH(debug::dump_on_signal({SIGKILL}),
                          Catch::Matchers::ContainsSubstring("cannot be caught"));
        co_return;
    }));
}
