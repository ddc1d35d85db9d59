// Cancels flow down a tree of tokens, never up, and a cancelled task unwinds: its destructors run.

#include <chrono>
#include <cstdio>
#include <string>
#include <system_error>
#include <tuple>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

// A task with a child that has a child ... : the innermost waits for something that never comes.
task<> work(std::string name, int depth) {
    std::printf("%s begins\n", name.c_str());
    defer bye([&] { std::printf("%s is unwound\n", name.c_str()); });
    if (depth == 0) co_await sleep_for(1h);
    auto child = spawn(work, name + ".child", depth - 1);
    std::ignore = co_await child.join();
    std::printf("never printed\n");
}

void report(const char* what, const cancel_token& token) {
    std::printf("%s: %s\n", what, token.cancelled() ? token.reason().message().c_str() : "not cancelled");
}

task<> tree() {
    cancel_source server;                               // the root, as Go's context.WithCancel
    cancel_source impatient(20ms, server.token());      // below it, with a deadline
    cancel_source patient(1h, server.token());          // another one
    cancel_source part_of_patient(2h, patient.token()); // its parent's deadline is the earlier one

    auto late = co_await with_token(impatient.token(), work, "impatient", 2);
    std::printf("with_token gave: %s\n", late.error().message().c_str());
    report("impatient", impatient.token());
    report("server", server.token()); // a child's cancel does not touch its parent

    auto handle = spawn([&]() -> task<> {
        auto r = co_await with_token(part_of_patient.token(), work, "patient", 1);
        std::printf("with_token gave: %s\n", r.error().message().c_str());
    });
    co_await this_task::yield();
    server.cancel(std::make_error_code(std::errc::connection_aborted)); // a reason of one's own
    auto joined = co_await handle.join();
    report("patient", patient.token());
    report("part of patient", part_of_patient.token());
    report("impatient", impatient.token()); // the first reason stays
    std::printf("joined: %s\n", joined ? "yes" : "no");
}

} // namespace

int main() { return levada::run(tree); }
