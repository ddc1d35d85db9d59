#include <levada/detail/io/close_op.hpp>
#include <levada/io/descriptor.hpp>

#include <liburing.h>
#include <unistd.h>

namespace levada {

void descriptor::reset() noexcept {
    // The result is of no use here: the descriptor is gone even after EINTR or EIO. close() awaits tell it.
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void detail::close_op::prepare(io_uring_sqe& sqe) noexcept {
    (void)from_->release();
    io_uring_prep_close(&sqe, fd_);
}

void poll_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_poll_add(&sqe, fd_, static_cast<unsigned>(events_));
}

void poll_op::describe(std::string& out) const { out += "poll of descriptor " + std::to_string(fd_); }

} // namespace levada
