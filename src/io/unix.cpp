#include <levada/io/unix.hpp>

#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

#include <levada/detail/io/connect_op.hpp>

#include "../loop/above_standard.hpp"

namespace levada {
namespace detail {

socket_file::~socket_file() {
    if (!path_.empty() && path_.front() != '@') ::unlink(path_.c_str());
}

struct descriptor_message {
    msghdr header{};
    iovec bytes{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * unix_stream::most_descriptors)> task_block{};

    descriptor_message(const void* data, std::size_t size) noexcept : bytes{const_cast<void*>(data), size} {}
    void set(std::size_t task_block_size) noexcept {
        header.msg_iov = &bytes;
        header.msg_iovlen = 1;
        header.msg_control = task_block.data();
        header.msg_controllen = task_block_size;
    }
};

send_descriptors_op::send_descriptors_op(stream_state& s, std::span<const std::byte> bytes,
                                         std::span<const int> descriptors)
    : stream_(&s),
      refused_(bytes.empty() || descriptors.size() > unix_stream::most_descriptors),
      message_(std::make_unique<descriptor_message>(bytes.data(), bytes.size())) {
    if (refused_) return;
    if (descriptors.empty()) {
        message_->set(0);
        return;
    }
    message_->set(CMSG_SPACE(descriptors.size_bytes()));
    cmsghdr* const c = CMSG_FIRSTHDR(&message_->header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(c), descriptors.data(), descriptors.size_bytes());
}
send_descriptors_op::send_descriptors_op(send_descriptors_op&& other) noexcept
    : stream_(other.stream_), refused_(other.refused_), message_(std::move(other.message_)) {}
send_descriptors_op::~send_descriptors_op() = default;

void send_descriptors_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_sendmsg(&sqe, stream_->fd.get(), &message_->header, MSG_NOSIGNAL);
}

result<std::size_t> send_descriptors_op::take() noexcept {
    if (refused_) return fail(std::make_error_code(std::errc::invalid_argument));
    if (stream_->broken) return fail(std::make_error_code(std::errc::broken_pipe));
    if (answer() < 0) return system_failure(answer());
    return static_cast<std::size_t>(answer());
}

recv_descriptors_op::recv_descriptors_op(stream_state& s, std::span<std::byte> to)
    : stream_(&s), to_(to), message_(std::make_unique<descriptor_message>(to.data(), to.size())) {}
recv_descriptors_op::recv_descriptors_op(recv_descriptors_op&& other) noexcept
    : stream_(other.stream_), to_(other.to_), message_(std::move(other.message_)) {}
recv_descriptors_op::~recv_descriptors_op() = default;

bool recv_descriptors_op::try_commit(work_list&) noexcept { return stream_->take_early(to_, kept_, failed_); }

void recv_descriptors_op::prepare(io_uring_sqe& sqe) noexcept {
    message_->set(message_->task_block.size());
    io_uring_prep_recvmsg(&sqe, stream_->fd.get(), &message_->header, MSG_CMSG_CLOEXEC);
}

result<bytes_and_descriptors> recv_descriptors_op::take() {
    bytes_and_descriptors out;
    if (failed_ != 0) return system_failure(failed_);
    if (kept_) {
        out.size = *kept_;
        return out;
    }
    if (answer() < 0) return system_failure(answer());
    out.size = static_cast<std::size_t>(answer());
    out.truncated = (message_->header.msg_flags & MSG_CTRUNC) != 0;
    std::array<descriptor, unix_stream::most_descriptors> got; // first all of them, so that none is lost
    std::size_t n = 0;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message_->header); c; c = CMSG_NXTHDR(&message_->header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < here && n < got.size(); ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            got[n] = descriptor(above_standard(fd));
            if (got[n]) ++n;
            else out.truncated = true; // as where the process may have no more of them
        }
    }
    out.descriptors.reserve(n);
    for (std::size_t i = 0; i < n; ++i) out.descriptors.push_back(std::move(got[i]));
    return out;
}

} // namespace detail

using detail::last_error;

task<result<unix_stream>> unix_stream::connect(std::string path) {
    auto to = socket_address::unix_path(path);
    if (!to) co_return fail(to.error());
    descriptor fd(detail::above_standard(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    if (!fd) co_return last_error();
    auto connected = co_await detail::connect_op(fd.get(), *to);
    if (!connected) co_return fail(connected.error());
    co_return unix_stream(std::move(fd));
}

result<std::pair<unix_stream, unix_stream>> unix_stream::pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || !detail::both_above_standard(ends))
        return last_error();
    descriptor a(ends[0]), b(ends[1]);
    return std::pair(unix_stream(std::move(a)), unix_stream(std::move(b)));
}

unix_listener::unix_listener(descriptor fd, const socket_address& address, detail::socket_file file)
    : file_(std::move(file)),
      state_(std::make_unique<detail::listener_state>(std::move(fd), true)),
      address_(address) {}

result<unix_listener> unix_listener::bind(std::string_view path, int backlog) {
    auto address = socket_address::unix_path(path);
    if (!address) return fail(address.error());
    descriptor fd(detail::above_standard(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    if (!fd) return last_error();
    auto listening = detail::listen_on(std::move(fd), *address, backlog);
    if (!listening) return fail(listening.error());
    return unix_listener(std::move(*listening), *address, detail::socket_file(path));
}

result<unix_datagram> unix_datagram::bind(std::string_view path) {
    auto address = socket_address::unix_path(path);
    if (!address) return fail(address.error());
    auto fd = open(AF_UNIX, &*address, false);
    if (!fd) return fail(fd.error());
    return unix_datagram(std::move(*fd), detail::socket_file(path));
}

result<unix_datagram> unix_datagram::unbound() {
    auto fd = open(AF_UNIX, nullptr, false);
    if (!fd) return fail(fd.error());
    return unix_datagram(std::move(*fd), {});
}

result<std::pair<unix_datagram, unix_datagram>> unix_datagram::pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) != 0 || !detail::both_above_standard(ends))
        return last_error();
    descriptor a(ends[0]), b(ends[1]);
    return std::pair(unix_datagram(std::move(a), {}), unix_datagram(std::move(b), {}));
}

} // namespace levada
