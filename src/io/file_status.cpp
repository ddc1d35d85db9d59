#include <levada/io/file_status.hpp>

#include <fcntl.h>
#include <liburing.h>

#include <chrono>

#include <levada/detail/io/stat_op.hpp>
#include <levada/detail/io/system_failure.hpp>

namespace levada {
namespace detail {

stat_op::stat_op(int fd, std::string path)
    : fd_(fd), path_(std::move(path)), into_(std::make_unique<struct statx>()) {}
stat_op::stat_op(stat_op&& other) noexcept
    : fd_(other.fd_), path_(std::move(other.path_)), into_(std::move(other.into_)) {}
stat_op::~stat_op() = default;

void stat_op::prepare(io_uring_sqe& sqe) noexcept {
    io_uring_prep_statx(&sqe, fd_, path_.c_str(), path_.empty() ? AT_EMPTY_PATH : 0,
                        STATX_TYPE | STATX_MODE | STATX_SIZE | STATX_MTIME, into_.get());
}

result<file_status> stat_op::take() noexcept {
    if (answer() < 0) return system_failure(answer());
    return file_status(*into_);
}

} // namespace detail

file_status::file_status(const struct statx& s) noexcept
    : size_(s.stx_size),
      mode_(s.stx_mode),
      modified_(std::chrono::seconds(s.stx_mtime.tv_sec) + std::chrono::nanoseconds(s.stx_mtime.tv_nsec)) {}

} // namespace levada
