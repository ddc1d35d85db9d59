#include <levada/io/tcp.hpp>

#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace levada {
namespace detail {
namespace {

// One submission moves at most this much; the kernel's lengths are 32 bits wide.
constexpr std::size_t most = std::size_t(1) << 30;

unsigned length(std::size_t n) noexcept { return static_cast<unsigned>(std::min(n, most)); }

bool interrupted(int answer) noexcept { return answer == -EINTR || answer == -EAGAIN; }

} // namespace

bool stream_read_op::try_commit(work_list&) noexcept {
    auto& kept = stream_->kept;
    if (kept.empty()) {
        if (stream_->kept_error != 0) {
            failed_ = std::exchange(stream_->kept_error, 0);
            return true;
        }
        if (!to_.empty()) return false;
        at_once_ = 0;
        return true;
    }
    const std::size_t n = std::min(to_.size(), kept.size() - stream_->kept_read);
    if (n != 0) std::memcpy(to_.data(), kept.data() + stream_->kept_read, n);
    stream_->kept_read += n;
    if (stream_->kept_read == kept.size()) {
        kept.clear();
        stream_->kept_read = 0;
    }
    at_once_ = n;
    return true;
}

void stream_read_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_recv(&sqe, stream_->fd.get(), to_.data(), to_.size(), 0);
    sqe.len = length(to_.size());
}

bool stream_read_op::again(int answer) noexcept { return interrupted(answer); }

void stream_read_op::lost(int answer) noexcept {
    if (answer < 0) stream_->kept_error = answer; // the system tells an error once
    if (answer <= 0) return;                      // an end comes again
    stream_->kept.insert(stream_->kept.end(), to_.begin(), to_.begin() + answer);
}

result<std::size_t> stream_read_op::take() noexcept {
    if (failed_ != 0) return system_failure(failed_);
    if (at_once_) return *at_once_;
    if (answer() < 0) return system_failure(answer());
    return static_cast<std::size_t>(answer());
}

bool stream_write_op::try_commit(work_list&) noexcept { return at_once_ = from_.empty() || stream_->broken; }

void stream_write_op::prepare(io_uring_sqe& sqe) noexcept {
    const auto rest = from_.subspan(written_);
    io_uring_prep_send(&sqe, stream_->fd.get(), rest.data(), rest.size(),
                       MSG_NOSIGNAL | (all_ ? MSG_WAITALL : 0));
    sqe.len = length(rest.size());
}

bool stream_write_op::again(int answer) noexcept {
    if (interrupted(answer)) return true;
    if (answer < 0) return false;
    written_ += static_cast<std::size_t>(answer);
    return all_ && answer != 0 && written_ < from_.size();
}

void stream_write_op::withdrawn() noexcept {
    if (written_ != 0 && written_ < from_.size() && all_) stream_->broken = true;
}

result<std::size_t> stream_write_op::take() noexcept {
    if (at_once_) {
        if (stream_->broken) return fail(std::make_error_code(std::errc::broken_pipe));
        return std::size_t(0);
    }
    if (written_ == from_.size() || (!all_ && written_ != 0)) return written_;
    if (written_ != 0) stream_->broken = true;
    if (answer() < 0) return system_failure(answer());
    return fail(std::make_error_code(std::errc::operation_canceled)); // cut short by a cancel
}

void shutdown_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_shutdown(&sqe, stream_->fd.get(), SHUT_WR);
}

void connect_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_connect(&sqe, fd_, to_.data(), to_.size());
}

bool accept_op::try_commit(work_list&) noexcept {
    auto& kept = listener_->kept;
    if (kept.empty()) return false;
    kept_ = std::move(kept.front());
    kept.pop_front();
    return true;
}

void accept_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_accept(&sqe, listener_->fd.get(), nullptr, nullptr, SOCK_CLOEXEC);
}

// A connection that was reset before it was accepted is nobody's error.
bool accept_op::again(int answer) noexcept { return interrupted(answer) || answer == -ECONNABORTED; }

void accept_op::lost(int answer) noexcept {
    if (answer < 0) return;
    lock_guard guard(listener_->lock_);
    listener_->kept.emplace_back(answer);
}

result<tcp_stream> accept_op::take() noexcept {
    if (kept_) return tcp_stream(std::move(kept_));
    if (answer() < 0) return system_failure(answer());
    return tcp_stream(descriptor(answer()));
}

} // namespace detail

namespace {

failure last_error() noexcept { return fail(std::error_code(errno, std::system_category())); }

} // namespace

tcp_stream::tcp_stream(detail::descriptor fd)
    : state_(std::make_unique<detail::stream_state>(std::move(fd))) {
    (void)set_no_delay(true); // on a socket of another kind it fails, and does not matter
}

task<result<tcp_stream>> tcp_stream::connect(std::string address) {
    auto to = socket_address::parse(address);
    if (!to) co_return fail(to.error());
    detail::descriptor fd(::socket(to->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) co_return last_error();
    auto connected = co_await detail::connect_op(fd.get(), *to);
    if (!connected) co_return fail(connected.error());
    co_return tcp_stream(std::move(fd));
}

result<socket_address> tcp_stream::local_address() const {
    socket_address a;
    if (::getsockname(native_handle(), a.data(), a.size_to_fill()) < 0) return last_error();
    return a;
}

result<socket_address> tcp_stream::peer_address() const {
    socket_address a;
    if (::getpeername(native_handle(), a.data(), a.size_to_fill()) < 0) return last_error();
    return a;
}

result<void> tcp_stream::set_no_delay(bool on) noexcept {
    const int value = on ? 1 : 0;
    if (::setsockopt(native_handle(), IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value)) < 0)
        return last_error();
    return {};
}

tcp_listener::tcp_listener(detail::descriptor fd, const socket_address& address)
    : state_(std::make_unique<detail::listener_state>(std::move(fd))), address_(address) {}

result<tcp_listener> tcp_listener::bind(std::string_view text, const tcp_listen_options& options) {
    auto address = socket_address::parse(text);
    if (!address) return fail(address.error());
    detail::descriptor fd(::socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return last_error();
    const int on = 1;
    if (options.reuse_address && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return last_error();
    if (options.reuse_port && ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
        return last_error();
    if (::bind(fd.get(), address->data(), address->size()) < 0) return last_error();
    if (::listen(fd.get(), options.backlog) < 0) return last_error();
    socket_address bound;
    if (::getsockname(fd.get(), bound.data(), bound.size_to_fill()) < 0) return last_error();
    return tcp_listener(std::move(fd), bound);
}

} // namespace levada
