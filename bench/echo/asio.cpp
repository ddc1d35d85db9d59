// An echo server as one writes it with Boost.Asio's coroutines: echo_asio PORT.

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <boost/asio.hpp>

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

asio::awaitable<void> session(tcp::socket client) {
    std::array<char, 16 * 1024> buffer;
    try {
        for (;;) {
            const std::size_t n = co_await client.async_read_some(asio::buffer(buffer), asio::use_awaitable);
            co_await asio::async_write(client, asio::buffer(buffer.data(), n), asio::use_awaitable);
        }
    } catch (const boost::system::system_error&) { // the client is done
    }
}

asio::awaitable<void> serve(tcp::acceptor listener) {
    const auto here = co_await asio::this_coro::executor;
    for (;;) {
        tcp::socket client = co_await listener.async_accept(asio::use_awaitable);
        client.set_option(tcp::no_delay(true));
        asio::co_spawn(here, session(std::move(client)), asio::detached);
    }
}

} // namespace

int main(int argc, char** argv) {
    asio::io_context io(1);
    tcp::acceptor listener(io, {asio::ip::address_v4::loopback(),
                                static_cast<unsigned short>(std::atoi(argc > 1 ? argv[1] : "0"))});
    listener.listen(4096);
    asio::co_spawn(io, serve(std::move(listener)), asio::detached);
    std::puts("listening");
    std::fflush(stdout);
    io.run();
}
