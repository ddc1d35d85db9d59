#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace levada::detail {

/// The file of a bound Unix socket, which goes with its owner.
class socket_file {
public:
    socket_file() noexcept = default;
    explicit socket_file(std::string_view path) : path_(path) {}
    socket_file(socket_file&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    socket_file& operator=(socket_file&& other) noexcept {
        std::swap(path_, other.path_);
        return *this;
    }
    ~socket_file();

private:
    std::string path_;
};

} // namespace levada::detail
