#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include <levada/base/result.hpp>

namespace levada {

/// An IPv4 or IPv6 address with a port, or the path of a Unix socket.
class socket_address {
public:
    socket_address() noexcept : storage_{}, size_(0) {}

    /// "127.0.0.1:80", "[::1]:80", "localhost:80", ":80" (any IPv4 address). Numbers only: names are resolved
    /// elsewhere. *Outcomes*: `std::errc::invalid_argument`.
    [[nodiscard]] static result<socket_address> parse(std::string_view text);

    /// The address of a Unix socket: a path, or with a leading '@' a name in Linux's abstract namespace.
    /// *Outcomes*: `std::errc::invalid_argument` (empty), `filename_too_long`.
    [[nodiscard]] static result<socket_address> unix_path(std::string_view path);

    /// 0 where there is none.
    [[nodiscard]] std::uint16_t port() const noexcept;
    /// As `parse`, or `unix_path`, reads it. Empty for a Unix socket without a name.
    [[nodiscard]] std::string to_string() const;
    [[nodiscard]] int family() const noexcept { return storage_.ss_family; }

    // For system calls.
    socket_address(const sockaddr* address, socklen_t size) noexcept;
    [[nodiscard]] const sockaddr* data() const noexcept {
        return reinterpret_cast<const sockaddr*>(&storage_);
    }
    [[nodiscard]] sockaddr* data() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
    [[nodiscard]] socklen_t size() const noexcept { return size_; }
    [[nodiscard]] socklen_t* size_to_fill() noexcept {
        size_ = sizeof(storage_);
        return &size_;
    }

    friend bool operator==(const socket_address& a, const socket_address& b) {
        return a.to_string() == b.to_string();
    }

private:
    sockaddr_storage storage_;
    socklen_t size_;
};

} // namespace levada
