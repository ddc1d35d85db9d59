// What levada.py is tested on: a program with tasks in every state, which then aborts.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

task<> inner(channel<int> ch) { static_cast<void>(co_await ch.recv()); } // here: inner

task<> outer(channel<int> ch) {
    this_task::name("the receiver");
    co_await inner(ch); // here: outer
}

task<> has_group(channel<int> ch) {
    co_await with_group([&](task_group& g) -> task<> {
        g.go([](channel<int> in) -> task<> { static_cast<void>(co_await in.send(1)); }, ch);
        co_return;
    });
}

/// Until all the others wait for something.
task<> until_all_parked() {
    const std::string ready = "runs or is ready to";
    std::string tasks;
    do {
        co_await this_task::yield();
        std::ostringstream out;
        static_cast<void>(debug::dump_tasks(out));
        tasks = out.str();
    } while (tasks.find(ready) != tasks.rfind(ready)); // one is this one
}

task<> everything() {
    channel<int> numbers(3), never; // here: channels
    static_cast<void>(numbers.try_send(1));
    go(outer, never); // here: start
    go(
        [](channel<int> full) -> task<> {
            for (;;) static_cast<void>(co_await full.send(7));
        },
        numbers);
    go(has_group, channel<int>());
    go([]() -> task<> { static_cast<void>(co_await select(sleep_for(1h), this_task::token().done())); });
    mutex m;
    auto held = co_await m.lock();
    auto locker = spawn([&]() -> task<> { static_cast<void>(co_await m.lock()); });
    co_await until_all_parked();
    std::fputs("ready\n", stdout);
    std::fflush(stdout);
    std::abort();
}

} // namespace

int main() { return levada::run(everything); }
