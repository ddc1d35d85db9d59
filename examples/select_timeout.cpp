// Waits for an answer, but not for ever: select takes whichever comes first, the answer or the timer.

#include <chrono>
#include <cstdio>
#include <string>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

task<> answer(std::string text, std::chrono::milliseconds delay, send_channel<std::string> out) {
    co_await sleep_for(delay);
    co_await or_throw(out.send(text));
}

task<> ask(std::string name, std::chrono::milliseconds delay, std::chrono::milliseconds patience) {
    channel<std::string> answers;
    auto asked = spawn(answer, "the answer of " + name, delay, answers); // cancelled when this returns
    auto s = co_await select(answers.recv(), after(patience));
    switch (s.index()) {
        case 0: std::printf("%s\n", get<0>(s)->c_str()); break;
        case 1: std::printf("%s took too long\n", name.c_str()); break;
    }
}

task<> ask_both() {
    co_await ask("fast", 0ms, 1h);
    co_await ask("slow", 1h, 20ms);

    // The same for a single operation, without a select.
    channel<std::string> silent;
    auto nothing = co_await with_timeout(20ms, silent.recv());
    std::printf("silent: %s\n", nothing.error().message().c_str());
}

} // namespace

int main() { return levada::run(ask_both); }
