#include "poll_fd.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <system_error>

#include "above_standard.hpp"

namespace levada::detail {

poll_fd::poll_fd()
    : set_(above_standard(::epoll_create1(EPOLL_CLOEXEC))),
      event_(above_standard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
      timer_(above_standard(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK))) {
    bool good = set_ >= 0 && event_ >= 0 && timer_ >= 0;
    for (const int part : {event_, timer_}) {
        epoll_event readable{};
        readable.events = EPOLLIN;
        good = good && ::epoll_ctl(set_, EPOLL_CTL_ADD, part, &readable) == 0;
    }
    if (good) return;
    const int error = errno;
    close();
    throw std::system_error(error, std::system_category(), "event_loop::fd");
}

poll_fd::~poll_fd() { close(); }

void poll_fd::close() noexcept {
    for (const int fd : {set_, event_, timer_})
        if (fd >= 0) ::close(fd);
}

void poll_fd::signal() noexcept {
    const std::uint64_t one = 1;
    // The counter cannot overflow: it is read at every turn.
    while (::write(event_, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void poll_fd::clear(time_point deadline) noexcept {
    std::uint64_t count;
    while (::read(event_, &count, sizeof count) < 0 && errno == EINTR) {
    }
    // A timer that has fired stays readable until it is set again.
    if (deadline == armed_ && deadline == time_point::max()) return;
    armed_ = deadline;
    itimerspec at{}; // zero: off
    if (deadline != time_point::max()) {
        const auto since = deadline.time_since_epoch();
        const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
        at.it_value.tv_sec = seconds.count();
        at.it_value.tv_nsec = std::chrono::nanoseconds(since - seconds).count();
        if (since <= duration::zero()) at.it_value = {0, 1}; // long past
    }
    ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr);
}

} // namespace levada::detail
