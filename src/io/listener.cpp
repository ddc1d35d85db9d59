#include <levada/io/listener.hpp>

#include <liburing.h>
#include <sys/socket.h>

#include <cerrno>

namespace levada::detail {

void connect_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_connect(&sqe, fd_, to_.data(), to_.size());
}

bool accept_base::try_commit(work_list&) noexcept {
    auto& kept = listener_->kept;
    if (kept.empty()) return false;
    kept_ = std::move(kept.front());
    kept.pop_front();
    return true;
}

void accept_base::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_accept(&sqe, listener_->fd.get(), nullptr, nullptr, SOCK_CLOEXEC);
}

// A connection that was reset before it was accepted is nobody's error.
bool accept_base::again(int answer) noexcept { return interrupted(answer) || answer == -ECONNABORTED; }

void accept_base::lost(int answer) noexcept {
    if (answer < 0) return;
    lock_guard guard(listener_->lock_);
    listener_->kept.emplace_back(answer);
}

result<descriptor> accept_base::accepted() noexcept {
    if (kept_) return std::move(kept_);
    if (answer() < 0) return system_failure(answer());
    return descriptor(answer());
}

result<descriptor> listen_on(descriptor socket, const socket_address& address, int backlog) {
    if (::bind(socket.get(), address.data(), address.size()) < 0) return last_error();
    if (::listen(socket.get(), backlog) < 0) return last_error();
    return socket;
}

} // namespace levada::detail
