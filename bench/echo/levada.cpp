// An echo server as one writes it with levada: echo_levada PORT.

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include <levada/levada.hpp>

using namespace levada;

namespace {

task<> session(tcp_stream client) {
    while (auto piece = co_await client.receive()) {
        auto written = co_await client.write_all(piece->bytes());
        if (!written) co_return;
    }
}

task<int> serve(std::string port) {
    auto listener = tcp_listener::bind("127.0.0.1:" + port);
    if (!listener) {
        std::fprintf(stderr, "echo_levada: %s\n", listener.error().message().c_str());
        co_return 1;
    }
    std::puts("listening");
    std::fflush(stdout);
    for (;;) {
        auto client = co_await listener->accept();
        if (client) go(session, std::move(*client));
    }
}

} // namespace

int main(int argc, char** argv) { return levada::run(serve, std::string(argc > 1 ? argv[1] : "0")); }
