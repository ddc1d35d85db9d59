// The classic of channels: every prime adds a task that lets through only what it does not divide.
// prime_sieve [N] prints the first N primes (20).

#include <charconv>
#include <cstdio>
#include <string_view>
#include <system_error>

#include <levada/levada.hpp>

using namespace levada;

namespace {

task<> generate(send_channel<int> out) {
    for (int i = 2;; ++i) co_await or_throw(out.send(i));
}

task<> filter(recv_channel<int> in, send_channel<int> out, int prime) {
    while (auto n = co_await in.recv())
        if (*n % prime != 0) co_await or_throw(out.send(*n));
}

task<> sieve(int count) {
    channel<int> numbers;
    go(generate, numbers);
    for (int i = 0; i < count; ++i) {
        const int prime = co_await or_throw(numbers.recv());
        std::printf("%d\n", prime);
        channel<int> rest;
        go(filter, numbers, rest, prime);
        numbers = rest;
    }
} // the tasks never end by themselves: they are cancelled and joined when main ends

} // namespace

int main(int argc, char** argv) {
    int count = 20;
    if (argc > 1) {
        const std::string_view text = argv[1];
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
        if (argc > 2 || error != std::errc() || end != text.data() + text.size() || count < 0) {
            const bool help = text == "--help";
            std::fprintf(help ? stdout : stderr, "Usage: prime_sieve [N], where N is a number, 0 or more\n");
            return help ? 0 : 2;
        }
    }
    return levada::run(sieve, count);
}
