#include <levada/io/file.hpp>

#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include <levada/loop/offload.hpp>

#include "../loop/above_standard.hpp"
#include "pieces.hpp"

namespace levada {
namespace detail {
namespace {

constexpr std::uint64_t where_it_stands = ~std::uint64_t(0);

int open_flags(file_mode mode) noexcept {
    const auto has = [mode](file_mode m) {
        return (static_cast<unsigned>(mode) & static_cast<unsigned>(m)) != 0;
    };
    const bool writes = has(file_mode::write) || has(file_mode::append);
    int flags = O_CLOEXEC | (writes ? (has(file_mode::read) ? O_RDWR : O_WRONLY) : O_RDONLY);
    if (has(file_mode::append)) flags |= O_APPEND;
    if (has(file_mode::create)) flags |= O_CREAT;
    if (has(file_mode::exclusive)) flags |= O_EXCL;
    if (has(file_mode::truncate)) flags |= O_TRUNC;
    return flags;
}

} // namespace

void file_open_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_openat(&sqe, AT_FDCWD, path_.c_str(), open_flags(mode_), 0666);
}

result<file> file_open_op::take() noexcept {
    const int fd = answer_above_standard(answer());
    if (fd < 0) return system_failure(fd);
    return file(descriptor(fd));
}

void file_read_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_read(&sqe, fd_, to_.data(), length_of_submission(to_.size()), at_);
}

result<std::size_t> file_read_op::take() noexcept {
    if (answer() < 0) return system_failure(answer());
    return static_cast<std::size_t>(answer());
}

void file_write_op::prepare(io_uring_sqe& sqe) noexcept {
    const auto rest = from_.subspan(written_);
    io_uring_prep_write(&sqe, fd_, rest.data(), length_of_submission(rest.size()),
                        at_ == where_it_stands ? at_ : at_ + written_);
}

bool file_write_op::again(int answer) noexcept {
    if (interrupted(answer)) return true;
    if (answer <= 0) return false;
    written_ += static_cast<std::size_t>(answer);
    return written_ < from_.size();
}

result<std::size_t> file_write_op::take() noexcept {
    if (written_ == from_.size()) return written_;
    if (answer() < 0) return system_failure(answer());
    return fail(
        std::make_error_code(answer() == 0 ? std::errc::no_space_on_device : std::errc::operation_canceled));
}

file_pieces_op::file_pieces_op(int fd, std::uint64_t at, std::span<const std::span<std::byte>> to)
    : fd_(fd), at_(at), writes_(false), pieces_(std::make_unique<pieces>(to)) {}
file_pieces_op::file_pieces_op(int fd, std::uint64_t at, std::span<const std::span<const std::byte>> from)
    : fd_(fd), at_(at), writes_(true), pieces_(std::make_unique<pieces>(from)) {}
file_pieces_op::file_pieces_op(file_pieces_op&& other) noexcept
    : fd_(other.fd_), at_(other.at_), writes_(other.writes_), pieces_(std::move(other.pieces_)) {}
file_pieces_op::~file_pieces_op() = default;

bool file_pieces_op::try_commit(work_list&) noexcept { return pieces_->size == 0; }

void file_pieces_op::prepare(io_uring_sqe& sqe) noexcept {
    const std::uint64_t at = at_ + pieces_->moved;
    if (writes_) io_uring_prep_writev(&sqe, fd_, pieces_->left(), pieces_->count(), at);
    else io_uring_prep_readv(&sqe, fd_, pieces_->left(), pieces_->count(), at);
}

bool file_pieces_op::again(int answer) noexcept {
    if (interrupted(answer)) return true;
    if (answer <= 0) return false;
    pieces_->done(static_cast<std::size_t>(answer));
    return writes_ && !pieces_->whole();
}

result<std::size_t> file_pieces_op::take() noexcept {
    if (pieces_->whole() || (!writes_ && (pieces_->moved != 0 || answer() == 0))) return pieces_->moved;
    if (answer() < 0) return system_failure(answer());
    return fail(
        std::make_error_code(answer() == 0 ? std::errc::no_space_on_device : std::errc::operation_canceled));
}

void file_sync_op::prepare(io_uring_sqe& sqe) noexcept { io_uring_prep_fsync(&sqe, fd_, 0); }

result<void> file_sync_op::take() noexcept {
    if (answer() < 0) return system_failure(answer());
    return {};
}

} // namespace detail

task<result<void>> file::truncate(std::uint64_t size) const {
    const int fd = native_handle();
    try {
        co_return co_await offload([fd, size]() -> result<void> {
            if (::ftruncate(fd, static_cast<::off_t>(size)) != 0) return detail::last_error();
            return {};
        });
    } catch (const std::system_error& no_thread) {
        co_return fail(no_thread.code());
    }
}

task<result<std::uint64_t>> file::size() const {
    auto known = co_await status();
    if (!known) co_return fail(known.error());
    co_return known->size();
}

} // namespace levada
