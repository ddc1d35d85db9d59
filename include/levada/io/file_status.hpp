#pragma once

#include <sys/stat.h>

#include <chrono>
#include <cstdint>

struct statx;

namespace levada {

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

} // namespace levada
