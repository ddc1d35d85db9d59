#include <levada/detail/io/connect_op.hpp>
#include <levada/detail/io/listener_state.hpp>

#include <liburing.h>
#include <sys/socket.h>

#include <cerrno>

#include "../loop/above_standard.hpp"

namespace levada::detail {

void connect_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_connect(&sqe, fd_, to_.data(), to_.size());
}

void acceptor::prepare(io_uring_sqe& sqe) noexcept {
    if (is_abandoned())
        io_uring_prep_accept(&sqe, -1, nullptr, nullptr, 0); // its number may be another's by now
    else if (multishot_) io_uring_prep_multishot_accept(&sqe, fd_, nullptr, nullptr, SOCK_CLOEXEC);
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
    answer = answer_above_standard(answer);
    if (answer < 0) {
        got.failure = answer;
        bring(std::move(got), if_nobody_waits::dropped); // who asks later is told what holds then
        return next::over;
    }
    got.connection = descriptor(answer);
    bring(std::move(got));
    return ahead_ ? next::more : next::over;
}

result<descriptor> listen_on(descriptor socket, const socket_address& address, int backlog) {
    if (::bind(socket.get(), address.data(), address.size()) < 0) return last_error();
    if (::listen(socket.get(), backlog) < 0) return last_error();
    return socket;
}

} // namespace levada::detail
