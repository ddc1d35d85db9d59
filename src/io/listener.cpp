#include <levada/io/listener.hpp>

#include <liburing.h>
#include <sys/socket.h>

#include <cerrno>

namespace levada::detail {

void connect_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_connect(&sqe, fd_, to_.data(), to_.size());
}

void acceptor::prepare(io_uring_sqe& sqe) noexcept {
    if (multishot_) io_uring_prep_multishot_accept(&sqe, fd_, nullptr, nullptr, SOCK_CLOEXEC);
    else io_uring_prep_accept(&sqe, fd_, nullptr, nullptr, SOCK_CLOEXEC);
}

acceptor::next acceptor::arrived(int answer, unsigned) noexcept {
    if (answer == -EINVAL && multishot_) {
        multishot_ = false; // an older kernel
        return next::again;
    }
    // A connection that was reset before it was accepted is nobody's error.
    if (interrupted(answer) || answer == -ECONNABORTED) return next::again;
    if (answer == -ECANCELED) return next::more; // we asked for it
    accepted got;
    if (answer >= 0) got.connection = descriptor(answer);
    else got.failure = answer;
    bring(std::move(got));
    return answer >= 0 ? next::more : next::over;
}

void acceptor::cut_off() noexcept {
    accepted got;
    got.failure = -ECANCELED;
    bring(std::move(got));
}

listener_state::~listener_state() {
    // Closing it would not end the kernel's accept, which would keep the address until it is given up.
    if (accepting->is_armed()) ::shutdown(fd.get(), SHUT_RDWR);
}

result<descriptor> listen_on(descriptor socket, const socket_address& address, int backlog) {
    if (::bind(socket.get(), address.data(), address.size()) < 0) return last_error();
    if (::listen(socket.get(), backlog) < 0) return last_error();
    return socket;
}

} // namespace levada::detail
