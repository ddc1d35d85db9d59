#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/io/close_op.hpp>
#include <levada/detail/io/file_ops.hpp>
#include <levada/detail/io/stat_op.hpp>
#include <levada/io/descriptor.hpp>
#include <levada/io/file_status.hpp>
#include <levada/task/task.hpp>

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

    /// Over a descriptor that is open, and is closed with this: one that the program was given.
    explicit file(descriptor fd) noexcept : fd_(std::move(fd)) {}

private:
    descriptor fd_;
};

} // namespace levada
