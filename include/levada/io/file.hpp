#pragma once

#include <sys/stat.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include <levada/core/task.hpp>
#include <levada/io/descriptor.hpp>
#include <levada/sync/channel.hpp>

struct statx;

namespace levada {

/// How a file is opened. The flags combine: `file_mode::write | file_mode::create`.
enum class file_mode : unsigned {
    read = 1,
    write = 2,
    append = 4,     ///< writes go to the end
    create = 8,     ///< made if it is not there, with the permissions 0666 less the umask
    exclusive = 16, ///< with `create`: an error if it is there
    truncate = 32,  ///< emptied
};
[[nodiscard]] constexpr file_mode operator|(file_mode a, file_mode b) noexcept {
    return static_cast<file_mode>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

class file;

namespace detail {

class [[nodiscard]] file_open_op final : public kernel_awaitable<file_open_op> {
public:
    using outcome = result<file>;
    file_open_op(std::string path, file_mode mode) noexcept : path_(std::move(path)), mode_(mode) {}
    file_open_op(file_open_op&& other) noexcept : path_(std::move(other.path_)), mode_(other.mode_) {}
    void describe(std::string& out) const override { out += "open of " + path_; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override { return answer == -EINTR; }
    void lost(int answer) noexcept override { descriptor gone(answer); }
    std::string path_;
    file_mode mode_;
};

class [[nodiscard]] file_read_op final : public kernel_awaitable<file_read_op> {
public:
    using outcome = result<std::size_t>;
    file_read_op(int fd, std::span<std::byte> to, std::uint64_t at) noexcept : fd_(fd), to_(to), at_(at) {}
    file_read_op(file_read_op&& other) noexcept : fd_(other.fd_), to_(other.to_), at_(other.at_) {}
    void describe(std::string& out) const override { out += "read of a file"; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override { return interrupted(answer); }
    int fd_;
    std::span<std::byte> to_;
    std::uint64_t at_;
};

class [[nodiscard]] file_write_op final : public kernel_awaitable<file_write_op> {
public:
    using outcome = result<std::size_t>;
    file_write_op(int fd, std::span<const std::byte> from, std::uint64_t at) noexcept
        : fd_(fd), from_(from), at_(at) {}
    file_write_op(file_write_op&& other) noexcept : fd_(other.fd_), from_(other.from_), at_(other.at_) {}
    void describe(std::string& out) const override { out += "write of a file"; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override;
    int fd_;
    std::span<const std::byte> from_;
    std::uint64_t at_; // ~0: where the file stands
    std::size_t written_ = 0;
};

struct pieces;

/// A read into, or a write from, several pieces.
class [[nodiscard]] file_pieces_op final : public kernel_awaitable<file_pieces_op> {
public:
    using outcome = result<std::size_t>;
    file_pieces_op(int fd, std::uint64_t at, std::span<const std::span<std::byte>> to);
    file_pieces_op(int fd, std::uint64_t at, std::span<const std::span<const std::byte>> from);
    file_pieces_op(file_pieces_op&& other) noexcept;
    ~file_pieces_op();
    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += writes_ ? "write of a file" : "read of a file"; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override;
    int fd_;
    std::uint64_t at_;
    bool writes_;
    std::unique_ptr<pieces> pieces_;
};

/// What is done to paths.
class [[nodiscard]] path_op final : public kernel_awaitable<path_op> {
public:
    enum class action { rename, remove, remove_directory, make_directory };
    using outcome = result<void>;
    path_op(action a, std::string path, std::string to = {}) noexcept
        : action_(a), path_(std::move(path)), to_(std::move(to)) {}
    path_op(path_op&& other) noexcept
        : action_(other.action_), path_(std::move(other.path_)), to_(std::move(other.to_)) {}
    void describe(std::string& out) const override;
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override { return answer == -EINTR; }
    action action_;
    std::string path_;
    std::string to_;
};

class [[nodiscard]] file_sync_op final : public kernel_awaitable<file_sync_op> {
public:
    using outcome = result<void>;
    explicit file_sync_op(int fd) noexcept : fd_(fd) {}
    file_sync_op(file_sync_op&& other) noexcept : fd_(other.fd_) {}
    void describe(std::string& out) const override { out += "sync of a file"; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    int fd_;
};

} // namespace detail

/// What is known of a file.
class file_status {
public:
    explicit file_status(const struct statx& s) noexcept;
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] bool is_regular() const noexcept { return S_ISREG(mode_); }
    [[nodiscard]] bool is_directory() const noexcept { return S_ISDIR(mode_); }
    [[nodiscard]] bool is_symlink() const noexcept { return S_ISLNK(mode_); }
    /// Type and permissions, as in `struct stat`.
    [[nodiscard]] mode_t mode() const noexcept { return mode_; }
    /// When its bytes were last changed.
    [[nodiscard]] std::chrono::sys_time<std::chrono::nanoseconds> modified() const noexcept {
        return modified_;
    }

private:
    std::uint64_t size_;
    mode_t mode_;
    std::chrono::sys_time<std::chrono::nanoseconds> modified_;
};

namespace detail {

class [[nodiscard]] stat_op final : public kernel_awaitable<stat_op> {
public:
    using outcome = result<file_status>;
    /// `path`, or with an empty one the descriptor itself.
    stat_op(int fd, std::string path);
    stat_op(stat_op&& other) noexcept;
    ~stat_op();
    void describe(std::string& out) const override {
        out += path_.empty() ? "stat of a file" : "stat of " + path_;
    }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    int fd_;
    std::string path_;
    std::unique_ptr<struct statx> into_;
};

} // namespace detail

/// An open file. Move-only; closed with its owner. It must outlive its operations.
class file {
public:
    /// Opens a file. *Outcomes*: `result<file>`; the system's code. *Cancel*: withdrawn, nothing stays open.
    [[nodiscard]] static detail::file_open_op open(std::string path, file_mode mode = file_mode::read) {
        return detail::file_open_op(std::move(path), mode);
    }
    /// Reads up to `to.size()` bytes at `offset`. *Outcomes*: the count, 0 at the end; the system's code.
    /// *Cancel*: withdrawn; what the kernel had read is reported.
    [[nodiscard]] detail::file_read_op read_at(std::uint64_t offset, std::span<std::byte> to) const noexcept {
        return {fd_.get(), to, offset};
    }
    [[nodiscard]] detail::file_read_op read_at(std::uint64_t offset, std::span<char> to) const noexcept {
        return read_at(offset, std::as_writable_bytes(to));
    }
    /// Writes all of the bytes at `offset`. *Outcomes*: the count; the system's code (`ENOSPC` after a part).
    /// *Cancel*: what was written by then stays.
    [[nodiscard]] detail::file_write_op write_at(std::uint64_t offset,
                                                 std::span<const std::byte> from) const noexcept {
        return {fd_.get(), from, offset};
    }
    [[nodiscard]] detail::file_write_op write_at(std::uint64_t offset, std::string_view from) const noexcept {
        return write_at(offset, std::as_bytes(std::span<const char>(from.data(), from.size())));
    }
    /// The same into, and from, several pieces one after the other, which are copied (not their bytes) before
    /// it suspends. The write writes all.
    [[nodiscard]] detail::file_pieces_op read_at(std::uint64_t offset,
                                                 std::span<const std::span<std::byte>> to) const {
        return {fd_.get(), offset, to};
    }
    [[nodiscard]] detail::file_pieces_op write_at(std::uint64_t offset,
                                                  std::span<const std::span<const std::byte>> from) const {
        return {fd_.get(), offset, from};
    }
    /// Makes the file so many bytes long, on a thread of `offload`'s pool. *Outcomes*: `result<void>`; the
    /// system's code, `std::errc::resource_unavailable_try_again` where no thread can be started.
    [[nodiscard]] task<result<void>> truncate(std::uint64_t size) const;
    /// Writes all of the bytes at the end of a file opened with `file_mode::append`.
    [[nodiscard]] detail::file_write_op append(std::span<const std::byte> from) const noexcept {
        return {fd_.get(), from, ~std::uint64_t(0)};
    }
    [[nodiscard]] detail::file_write_op append(std::string_view from) const noexcept {
        return append(std::as_bytes(std::span<const char>(from.data(), from.size())));
    }
    /// Waits until what was written is on the device (fsync).
    [[nodiscard]] detail::file_sync_op sync() const noexcept { return detail::file_sync_op(fd_.get()); }
    [[nodiscard]] detail::stat_op status() const { return detail::stat_op(fd_.get(), {}); }
    /// The size in bytes.
    [[nodiscard]] task<result<std::uint64_t>> size() const;
    [[nodiscard]] detail::close_op close() noexcept { return detail::close_op(fd_); }
    [[nodiscard]] int native_handle() const noexcept { return fd_.get(); }

    /// For the library: an open descriptor.
    explicit file(detail::descriptor fd) noexcept : fd_(std::move(fd)) {}

private:
    detail::descriptor fd_;
};

/// What is known of `path`, links followed.
[[nodiscard]] inline detail::stat_op stat_file(std::string path) {
    return detail::stat_op(-100 /* AT_FDCWD */, std::move(path));
}

/// Gives a file another name, and replaces what had it; both on one file system. *Outcomes*: `result<void>`,
/// the system's code. *Cancel*: withdrawn, or done. The same holds for those that follow.
[[nodiscard]] inline detail::path_op rename_file(std::string from, std::string to) {
    return {detail::path_op::action::rename, std::move(from), std::move(to)};
}
/// Removes a name of a file, not of a directory.
[[nodiscard]] inline detail::path_op remove_file(std::string path) {
    return {detail::path_op::action::remove, std::move(path)};
}
/// Makes a directory, with the permissions 0777 less the umask; removes an empty one.
[[nodiscard]] inline detail::path_op make_directory(std::string path) {
    return {detail::path_op::action::make_directory, std::move(path)};
}
[[nodiscard]] inline detail::path_op remove_directory(std::string path) {
    return {detail::path_op::action::remove_directory, std::move(path)};
}

/// The whole of a file. *Outcomes*: the system's code; `std::errc::is_a_directory` and the like.
/// *Cancel*: unwinds; the file is closed.
[[nodiscard]] task<result<std::string>> read_file(std::string path);

/// Replaces a file by these bytes, atomically: they are written and synced beside it under another name,
/// which then takes its place. After an error the old file is as it was, and nothing is left beside it.
[[nodiscard]] task<result<void>> write_file(std::string path, std::string bytes);

/// A file that `walk` found, or a place where it could not look.
class walk_entry {
public:
    walk_entry(std::string p, std::error_code e) noexcept : path(std::move(p)), error(e) {}
    std::string path;
    std::error_code error;
};

/// Sends every regular file below `root` (or `root`, if it is one) to `out`, and what could not be read with
/// its error; then returns. Links to directories are not followed, links to files are. Directories are listed
/// on the loop's thread, one at a time, since io_uring cannot. *Outcomes*: `errc::closed` if nobody receives.
[[nodiscard]] task<result<void>> walk(std::string root, send_channel<walk_entry> out);

} // namespace levada
