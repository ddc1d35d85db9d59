#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/io/system_failure.hpp>
#include <levada/detail/loop/kernel_op.hpp>
#include <levada/io/descriptor.hpp>

namespace levada {
class file;
enum class file_mode : unsigned;
} // namespace levada

namespace levada::detail {

/// Opens a file; see file::open.
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

/// A read at a place of a file; see file::read_at.
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

/// A write of all of the bytes at a place of a file, or at its end; see file::write_at.
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

/// Waits until what was written is on the device.
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

} // namespace levada::detail
