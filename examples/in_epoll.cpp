// levada inside an epoll loop of one's own: the loop's descriptor is one of those that it polls.

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <system_error>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

task<> count(bool& done) {
    for (int i = 1; i <= 3; ++i) {
        co_await sleep_for(1ms);
        std::printf("task: %d\n", i);
    }
    done = true;
}

void check(int result, const char* what) {
    if (result < 0) throw std::system_error(errno, std::system_category(), what);
}

} // namespace

int main() try {
    const int host = ::epoll_create1(EPOLL_CLOEXEC);
    check(host, "epoll_create1");
    event_loop loop;
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.fd = loop.fd();
    check(::epoll_ctl(host, EPOLL_CTL_ADD, loop.fd(), &interest), "epoll_ctl");

    bool done = false;
    loop.go(count, std::ref(done));
    while (!done) {
        std::array<epoll_event, 16> events;
        const int n = ::epoll_wait(host, events.data(), static_cast<int>(events.size()), -1);
        if (n < 0 && errno == EINTR) continue;
        check(n, "epoll_wait");
        for (int i = 0; i < n; ++i)
            if (events[static_cast<std::size_t>(i)].data.fd == loop.fd()) loop.poll();
    }
    ::close(host);
    std::printf("done\n");
} catch (const std::exception& e) {
    std::fprintf(stderr, "in_epoll: %s\n", e.what());
    return 1;
}
