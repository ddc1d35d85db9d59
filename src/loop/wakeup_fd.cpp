#include "wakeup_fd.hpp"

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "above_standard.hpp"

namespace levada::detail {

wakeup_fd::wakeup_fd(ring& r) : ring_(r), fd_(above_standard(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))) {
    if (fd_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
    background_ = true;
}

wakeup_fd::~wakeup_fd() { ::close(fd_); }

void wakeup_fd::wake() noexcept {
    const std::uint64_t one = 1;
    // The counter cannot overflow: the loop reads it at every wake.
    while (::write(fd_, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
}

void wakeup_fd::close() noexcept {
    closing_ = true;
    if (pending_ == 0) return;
    ring_.cancel(*this);
    while (pending_ != 0) ring_.wait(time_point::max());
}

void wakeup_fd::prepare(io_uring_sqe& sqe) noexcept { io_uring_prep_poll_add(&sqe, fd_, POLLIN); }

void wakeup_fd::completed(int, unsigned, bool) noexcept {
    if (--pending_ != 0) return;
    ring_.ended(*this);
    if (closing_) return;
    std::uint64_t count;
    while (::read(fd_, &count, sizeof(count)) < 0 && errno == EINTR) {
    }
    listen();
}

} // namespace levada::detail
