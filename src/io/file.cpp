#include <levada/io/file.hpp>

#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <vector>

#include <levada/core/defer.hpp>
#include <levada/runtime/offload.hpp>

#include "../runtime/above_standard.hpp"
#include "pieces.hpp"

namespace levada {
namespace detail {
namespace {

constexpr std::size_t most = std::size_t(1) << 30; // bytes a submission
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
    io_uring_prep_read(&sqe, fd_, to_.data(), static_cast<unsigned>(std::min(to_.size(), most)), at_);
}

result<std::size_t> file_read_op::take() noexcept {
    if (answer() < 0) return system_failure(answer());
    return static_cast<std::size_t>(answer());
}

void file_write_op::prepare(io_uring_sqe& sqe) noexcept {
    const auto rest = from_.subspan(written_);
    io_uring_prep_write(&sqe, fd_, rest.data(), static_cast<unsigned>(std::min(rest.size(), most)),
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

void path_op::prepare(io_uring_sqe& sqe) noexcept {
    switch (action_) {
        case action::rename:
            io_uring_prep_renameat(&sqe, AT_FDCWD, path_.c_str(), AT_FDCWD, to_.c_str(), 0);
            break;
        case action::remove: io_uring_prep_unlinkat(&sqe, AT_FDCWD, path_.c_str(), 0); break;
        case action::remove_directory:
            io_uring_prep_unlinkat(&sqe, AT_FDCWD, path_.c_str(), AT_REMOVEDIR);
            break;
        case action::make_directory: io_uring_prep_mkdirat(&sqe, AT_FDCWD, path_.c_str(), 0777); break;
    }
}

void path_op::describe(std::string& out) const {
    constexpr const char* names[] = {"rename of ", "removal of ", "removal of directory ",
                                     "making of directory "};
    out += names[static_cast<std::size_t>(action_)];
    out += path_;
}

result<void> path_op::take() noexcept {
    if (answer() < 0) return system_failure(answer());
    return {};
}

void file_sync_op::prepare(io_uring_sqe& sqe) noexcept { io_uring_prep_fsync(&sqe, fd_, 0); }

result<void> file_sync_op::take() noexcept {
    if (answer() < 0) return system_failure(answer());
    return {};
}

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

task<result<std::string>> read_file(std::string path) {
    auto opened = co_await file::open(path, file_mode::read);
    if (!opened) co_return fail(opened.error());
    const int fd = opened->native_handle();
    struct stat known{};
    // On an open descriptor this asks no disk: a submission would go to a kernel worker and cost ten times
    // it.
    if (::fstat(fd, &known) != 0) co_return fail(std::error_code(errno, std::system_category()));
    if (S_ISDIR(known.st_mode)) co_return fail(std::make_error_code(std::errc::is_a_directory));
    constexpr std::size_t at_least = 4096; // files in /proc say 0
    std::string text;
    text.resize(std::max(static_cast<std::size_t>(known.st_size) + 1, at_least));
    std::size_t filled = 0;
    for (;;) {
        // With a byte to spare, so that the end shows without another allocation.
        auto n =
            co_await opened->read_at(filled, std::span<char>(text.data() + filled, text.size() - filled));
        if (!n) co_return fail(n.error());
        filled += *n;
        if (*n == 0) break;
        if (filled == static_cast<std::size_t>(known.st_size) && filled < text.size() &&
            S_ISREG(known.st_mode))
            break;
        if (filled == text.size()) text.resize(text.size() * 2);
    }
    text.resize(filled);
    co_return text;
}

task<result<void>> write_file(std::string path, std::string bytes) {
    static std::atomic<unsigned> number{0};
    const std::size_t slash =
        path.rfind('/'); // a short name of its own: the file's may be as long as names get
    const std::string beside = path.substr(0, slash == std::string::npos ? 0 : slash + 1) + ".levada-" +
                               std::to_string(::getpid()) + "-" + std::to_string(number.fetch_add(1));
    bool made = false;
    defer clean_up([&] {
        if (made) ::unlink(beside.c_str());
    });
    auto opened = co_await file::open(beside, file_mode::write | file_mode::create | file_mode::exclusive);
    if (!opened) co_return fail(opened.error());
    made = true;
    struct stat old{};
    if (::stat(path.c_str(), &old) == 0 && ::fchmod(opened->native_handle(), old.st_mode & 07777) != 0)
        co_return fail(std::error_code(errno, std::system_category()));
    auto written = co_await opened->write_at(0, bytes);
    if (!written) co_return fail(written.error());
    auto synced = co_await opened->sync();
    if (!synced) co_return fail(synced.error());
    auto closed = co_await opened->close();
    if (!closed) co_return fail(closed.error());
    if (::rename(beside.c_str(), path.c_str()) != 0)
        co_return fail(std::error_code(errno, std::system_category()));
    made = false;
    co_return result<void>();
}

task<result<void>> walk(std::string root, send_channel<walk_entry> out) {
    namespace fs = std::filesystem;
    std::error_code ec;
    const fs::file_status top = fs::status(root, ec);
    if (ec || !fs::is_directory(top)) {
        if (!ec && !fs::exists(top)) ec = std::make_error_code(std::errc::no_such_file_or_directory);
        co_return co_await out.emplace(std::move(root), ec);
    }
    std::vector<std::string> directories;
    directories.push_back(std::move(root));
    while (!directories.empty()) {
        const std::string directory = std::move(directories.back());
        directories.pop_back();
        fs::directory_iterator entries(directory, ec);
        if (ec) {
            auto sent = co_await out.emplace(directory, ec);
            if (!sent) co_return fail(sent.error());
            continue;
        }
        std::vector<std::string> files;
        for (const fs::directory_iterator end; entries != end; entries.increment(ec)) {
            std::error_code unknown;
            const fs::directory_entry& entry = *entries;
            if (entry.is_directory(unknown) && !entry.is_symlink(unknown))
                directories.push_back(entry.path().string());
            else if (entry.is_regular_file(unknown)) files.push_back(entry.path().string());
        }
        std::sort(files.begin(), files.end());
        for (std::string& path : files) {
            auto sent = co_await out.emplace(std::move(path), std::error_code());
            if (!sent) co_return fail(sent.error());
        }
        if (ec) {
            auto sent = co_await out.emplace(directory, ec);
            if (!sent) co_return fail(sent.error());
        }
    }
    co_return result<void>();
}

} // namespace levada
