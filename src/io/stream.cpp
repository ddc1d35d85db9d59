#include <levada/io/stream.hpp>

#include <liburing.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>

#include "pieces.hpp"

namespace levada {
namespace detail {
namespace {

constexpr std::uint64_t where_it_stands = ~std::uint64_t(0); // as an offset

} // namespace

std::optional<std::size_t> stream_state::take_kept(std::span<std::byte> to) {
    if (kept.empty() && receiving) {
        received r;
        if (receiving->try_take(r)) {
            if (r.answer == 0) return std::size_t(0);
            if (r.answer < 0) kept_error = r.answer;
            kept.assign(r.bytes.bytes().begin(), r.bytes.bytes().end());
        }
    }
    if (kept.empty()) return {};
    const std::size_t n = std::min(to.size(), kept.size() - kept_read);
    if (n != 0) std::memcpy(to.data(), kept.data() + kept_read, n);
    kept_read += n;
    if (kept_read == kept.size()) {
        kept.clear();
        kept_read = 0;
    }
    return n;
}

bool stream_state::take_early(std::span<std::byte> to, std::optional<std::size_t>& count, int& failure) {
    const bool busy = is_receiving(); // asked first: what comes after that is found, or it is still busy
    count = take_kept(to);
    if (count) return true;
    failure = std::exchange(kept_error, 0);
    if (failure == 0 && busy) failure = -EBUSY;
    return failure != 0;
}

receiver& stream_state::receive() {
    if (!receiving) receiving = new receiver(fd.get(), socket);
    if (kept_error != 0) receiving->bring_failure(std::exchange(kept_error, 0));
    if (!kept.empty()) {
        receiving->bring_kept(std::span(kept).subspan(kept_read));
        kept.clear();
        kept_read = 0;
    }
    return *receiving;
}

bool stream_read_op::try_commit(work_list&) noexcept {
    if (stream_->take_early(to_, at_once_, failed_)) return true;
    if (to_.empty()) at_once_ = 0;
    return to_.empty();
}

void stream_read_op::prepare(io_uring_sqe& sqe) noexcept {
    const int fd = stream_->fd.get();
    if (stream_->socket) {
        io_uring_prep_recv(&sqe, fd, to_.data(), to_.size(), 0);
        sqe.len = length_of_submission(to_.size());
    } else {
        io_uring_prep_read(&sqe, fd, to_.data(), length_of_submission(to_.size()), where_it_stands);
    }
}

bool stream_read_op::again(int answer) noexcept { return interrupted(answer); }

void stream_read_op::lost(int answer) noexcept {
    if (answer < 0) stream_->kept_error = answer; // the system tells an error once
    if (answer <= 0) return;                      // an end comes again
    try {
        stream_->kept.insert(stream_->kept.end(), to_.begin(), to_.begin() + answer);
    } catch (const std::bad_alloc&) {
        stream_->kept_error = -ENOMEM; // they are lost, and the next read says so
    }
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
    const int fd = stream_->fd.get();
    if (stream_->socket) {
        io_uring_prep_send(&sqe, fd, rest.data(), rest.size(), MSG_NOSIGNAL | (all_ ? MSG_WAITALL : 0));
        sqe.len = length_of_submission(rest.size());
    } else {
        io_uring_prep_write(&sqe, fd, rest.data(), length_of_submission(rest.size()), where_it_stands);
    }
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

stream_gather_op::stream_gather_op(stream_state& s, std::span<const std::span<const std::byte>> from)
    : stream_(&s), pieces_(std::make_unique<pieces>(from)) {}
stream_gather_op::stream_gather_op(stream_gather_op&& other) noexcept
    : stream_(other.stream_), pieces_(std::move(other.pieces_)) {}
stream_gather_op::~stream_gather_op() = default;

bool stream_gather_op::try_commit(work_list&) noexcept {
    return at_once_ = pieces_->size == 0 || stream_->broken;
}

void stream_gather_op::prepare(io_uring_sqe& sqe) noexcept {
    const int fd = stream_->fd.get();
    if (stream_->socket) {
        pieces_->message.msg_iov = pieces_->left();
        pieces_->message.msg_iovlen = pieces_->count();
        io_uring_prep_sendmsg(&sqe, fd, &pieces_->message, MSG_NOSIGNAL | MSG_WAITALL);
    } else {
        io_uring_prep_writev(&sqe, fd, pieces_->left(), pieces_->count(), where_it_stands);
    }
}

bool stream_gather_op::again(int answer) noexcept {
    if (interrupted(answer)) return true;
    if (answer < 0) return false;
    pieces_->done(static_cast<std::size_t>(answer));
    return answer != 0 && !pieces_->whole();
}

void stream_gather_op::withdrawn() noexcept {
    if (pieces_->moved != 0 && !pieces_->whole()) stream_->broken = true;
}

result<std::size_t> stream_gather_op::take() noexcept {
    if (at_once_) {
        if (stream_->broken) return fail(std::make_error_code(std::errc::broken_pipe));
        return std::size_t(0);
    }
    if (pieces_->whole()) return pieces_->moved;
    if (pieces_->moved != 0) stream_->broken = true;
    if (answer() < 0) return system_failure(answer());
    return fail(std::make_error_code(std::errc::operation_canceled)); // cut short by a cancel
}

void shutdown_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_shutdown(&sqe, stream_->fd.get(), SHUT_WR);
}

} // namespace detail
} // namespace levada
