#include <levada/debug/dump_on_signal.hpp>

#include <iostream>

#include <levada/debug/dump.hpp>
#include <levada/io/signals.hpp>
#include <levada/loop/offload.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>

namespace levada::debug {
namespace {

task<> dump_when_asked(recv_channel<int> signals) {
    this_task::name("levada::debug::dump_on_signal");
    for (;;) {
        auto number = co_await signals.recv();
        if (!number) co_return;
        co_await offload([] {
            std::cerr << "levada: all tasks:\n";
            dump_tasks(std::cerr);
        });
    }
}

} // namespace

void dump_on_signal(std::initializer_list<int> signals) { go(dump_when_asked, signal_channel(signals)); }

} // namespace levada::debug
