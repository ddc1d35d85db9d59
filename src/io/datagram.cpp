#include <levada/io/datagram_socket.hpp>

#include <liburing.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "../loop/above_standard.hpp"

namespace levada {
namespace detail {

struct message_space {
    msghdr header{};
    iovec bytes{};
    socket_address address;

    void point_at(void* data, std::size_t size) noexcept {
        bytes = {data, size};
        header.msg_iov = &bytes;
        header.msg_iovlen = 1;
    }
};

recv_from_op::recv_from_op(datagram_state& s, std::span<std::byte> to)
    : socket_(&s), to_(to), space_(std::make_unique<message_space>()) {}
recv_from_op::recv_from_op(recv_from_op&& other) noexcept
    : socket_(other.socket_), to_(other.to_), space_(std::move(other.space_)) {}
recv_from_op::~recv_from_op() = default;

bool recv_from_op::try_commit(work_list&) noexcept {
    if (!socket_->kept.empty()) {
        datagram_state::late& first = socket_->kept.front();
        kept_ = first.what;
        const std::size_t n = std::min(to_.size(), first.bytes.size());
        if (n != 0) std::memcpy(to_.data(), first.bytes.data(), n);
        kept_.truncated |= n < first.bytes.size();
        kept_.size = n;
        socket_->kept.pop_front();
        return at_once_ = true;
    }
    failed_ = std::exchange(socket_->kept_error, 0);
    return failed_ != 0;
}

void recv_from_op::prepare(io_uring_sqe& sqe) noexcept {
    space_->point_at(to_.data(), to_.size());
    space_->header.msg_name = space_->address.data();
    space_->header.msg_namelen = *space_->address.size_to_fill();
    io_uring_prep_recvmsg(&sqe, socket_->fd.get(), &space_->header, 0);
}

datagram recv_from_op::received(int size) const noexcept {
    datagram d;
    d.size = static_cast<std::size_t>(size);
    d.from = space_->address;
    *d.from.size_to_fill() = space_->header.msg_namelen;
    d.truncated = (space_->header.msg_flags & MSG_TRUNC) != 0;
    return d;
}

void recv_from_op::lost(int answer) noexcept {
    if (answer < 0) {
        socket_->kept_error = answer;
        return;
    }
    try {
        socket_->kept.push_back({{to_.begin(), to_.begin() + answer}, received(answer)});
    } catch (const std::bad_alloc&) {
        socket_->kept_error = -ENOMEM; // it is lost, and the next receive says so
    }
}

result<datagram> recv_from_op::take() noexcept {
    if (failed_ != 0) return system_failure(failed_);
    if (at_once_) return kept_;
    if (answer() < 0) return system_failure(answer());
    return received(answer());
}

send_to_op::send_to_op(datagram_state& s, std::span<const std::byte> from, const socket_address* to)
    : socket_(&s), from_(from), space_(std::make_unique<message_space>()) {
    if (to) space_->address = *to;
}
send_to_op::send_to_op(send_to_op&& other) noexcept
    : socket_(other.socket_), from_(other.from_), space_(std::move(other.space_)) {}
send_to_op::~send_to_op() = default;

void send_to_op::prepare(io_uring_sqe& sqe) noexcept {
    space_->point_at(const_cast<std::byte*>(from_.data()), from_.size());
    if (space_->address.size() != 0) {
        space_->header.msg_name = space_->address.data();
        space_->header.msg_namelen = space_->address.size();
    }
    io_uring_prep_sendmsg(&sqe, socket_->fd.get(), &space_->header, MSG_NOSIGNAL);
}

result<void> send_to_op::take() noexcept {
    if (answer() < 0) return system_failure(answer());
    return {};
}

} // namespace detail

using detail::last_error;

result<descriptor> datagram_socket::open(int family, const socket_address* local, bool reuse_port) {
    descriptor fd(detail::above_standard(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
    if (!fd) return last_error();
    const int on = 1;
    if (reuse_port && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
        return last_error();
    if (local && ::bind(fd.get(), local->data(), local->size()) < 0) return last_error();
    return fd;
}

result<void> datagram_socket::connect_to(const socket_address& peer) noexcept {
    if (::connect(native_handle(), peer.data(), peer.size()) < 0) return last_error();
    return {};
}

result<socket_address> datagram_socket::local_address() const {
    socket_address a;
    if (::getsockname(native_handle(), a.data(), a.size_to_fill()) < 0) return last_error();
    return a;
}

} // namespace levada
