// Two tasks talk through a channel: one sends, the other receives until the channel is closed.

#include <cstdio>
#include <string>

#include <levada/levada.hpp>

using namespace levada;

namespace {

task<> greet(send_channel<std::string> out) {
    for (const char* word : {"hello,", "channel"}) co_await or_throw(out.emplace(word));
    out.close();
}

task<> hello() {
    channel<std::string> words; // without a capacity: a send waits for its receiver
    go(greet, words);
    while (auto word = co_await words.recv()) std::printf("%s\n", word->c_str());
}

} // namespace

int main() { return levada::run(hello); }
