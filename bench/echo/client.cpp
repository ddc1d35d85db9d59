// The common client: echo_client PORT CONNECTIONS BYTES SECONDS. Every connection sends BYTES, waits for them
// to come back, and again. Prints requests a second. Plain epoll, so that no contestant measures itself.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

struct connection {
    int fd = -1;
    std::size_t sent = 0;
    std::size_t received = 0;
};

} // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "Usage: echo_client PORT CONNECTIONS BYTES SECONDS\n");
        return 2;
    }
    const auto port = static_cast<unsigned short>(std::atoi(argv[1]));
    std::vector<connection> all(static_cast<std::size_t>(std::atoi(argv[2])));
    const std::vector<char> message(static_cast<std::size_t>(std::atoi(argv[3])), 'x');
    std::vector<char> buffer(message.size());
    const auto seconds = std::chrono::duration<double>(std::atof(argv[4]));

    const int poller = ::epoll_create1(0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (connection& c : all) {
        c.fd = ::socket(AF_INET, SOCK_STREAM, 0);
        const int on = 1;
        if (c.fd < 0 || ::connect(c.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
            fail("connect");
        ::setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_event interest{};
        interest.events = EPOLLIN;
        interest.data.ptr = &c;
        if (::epoll_ctl(poller, EPOLL_CTL_ADD, c.fd, &interest) != 0) fail("epoll_ctl");
    }
    const auto send_more = [&](connection& c) {
        while (c.sent < message.size()) {
            const ssize_t n =
                ::send(c.fd, message.data() + c.sent, message.size() - c.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n < 0 && errno == EAGAIN) return; // goes on as echoes come back
            if (n < 0) fail("send");
            c.sent += static_cast<std::size_t>(n);
        }
    };
    for (connection& c : all) send_more(c);
    long requests = 0, measured_from = 0;
    auto begin = clock_type::now();
    auto warm = begin + seconds / 5;
    bool counting = false;
    for (;;) {
        std::array<epoll_event, 256> events;
        const int n = ::epoll_wait(poller, events.data(), static_cast<int>(events.size()), 1000);
        const auto now = clock_type::now();
        if (!counting && now >= warm) {
            counting = true;
            begin = now;
            measured_from = requests;
        }
        if (counting && now - begin >= seconds) break;
        for (int i = 0; i < n; ++i) {
            connection& c = *static_cast<connection*>(events[static_cast<std::size_t>(i)].data.ptr);
            const ssize_t got = ::recv(c.fd, buffer.data(), message.size() - c.received, 0);
            if (got <= 0) fail("recv");
            c.received += static_cast<std::size_t>(got);
            if (c.received == message.size()) {
                ++requests;
                c.sent = c.received = 0;
            }
            send_more(c);
        }
    }
    const std::chrono::duration<double> took = clock_type::now() - begin;
    std::printf("%.0f\n", static_cast<double>(requests - measured_from) / took.count());
}
