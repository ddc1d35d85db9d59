#include <levada/io/address.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

namespace levada {

socket_address::socket_address(const sockaddr* address, socklen_t size) noexcept
    : storage_{}, size_(std::min<socklen_t>(size, sizeof(storage_))) {
    std::memcpy(&storage_, address, size_);
}

result<socket_address> socket_address::parse(std::string_view text) {
    const auto bad = [] { return fail(std::make_error_code(std::errc::invalid_argument)); };
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || text.find('\0') != std::string_view::npos) return bad();
    std::string_view host = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (ec != std::errc() || end != digits.data() + digits.size() || digits.empty()) return bad();

    socket_address out;
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        const std::string inside(host.substr(1, host.size() - 2));
        sockaddr_in6 in6{};
        in6.sin6_family = AF_INET6;
        in6.sin6_port = htons(port);
        if (::inet_pton(AF_INET6, inside.c_str(), &in6.sin6_addr) != 1) return bad();
        std::memcpy(&out.storage_, &in6, sizeof(in6));
        out.size_ = sizeof(in6);
        return out;
    }
    if (host == "localhost") host = "127.0.0.1";
    if (host.empty()) host = "0.0.0.0";
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    if (::inet_pton(AF_INET, std::string(host).c_str(), &in.sin_addr) != 1) return bad();
    std::memcpy(&out.storage_, &in, sizeof(in));
    out.size_ = sizeof(in);
    return out;
}

result<socket_address> socket_address::unix_path(std::string_view path) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    if (path.empty() || path.find('\0') != std::string_view::npos)
        return fail(std::make_error_code(std::errc::invalid_argument));
    if (path.size() >= sizeof(un.sun_path)) return fail(std::make_error_code(std::errc::filename_too_long));
    std::memcpy(un.sun_path, path.data(), path.size());
    const bool abstract = path.front() == '@';
    if (abstract) un.sun_path[0] = '\0';
    socket_address out;
    std::memcpy(&out.storage_, &un, sizeof(un));
    // An abstract name is as long as it says; a path ends with its zero.
    out.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
    return out;
}

std::uint16_t socket_address::port() const noexcept {
    if (family() == AF_INET) {
        sockaddr_in in;
        std::memcpy(&in, &storage_, sizeof(in));
        return ntohs(in.sin_port);
    }
    if (family() == AF_INET6) {
        sockaddr_in6 in6;
        std::memcpy(&in6, &storage_, sizeof(in6));
        return ntohs(in6.sin6_port);
    }
    return 0;
}

std::string socket_address::to_string() const {
    char text[INET6_ADDRSTRLEN] = "";
    if (family() == AF_INET) {
        sockaddr_in in;
        std::memcpy(&in, &storage_, sizeof(in));
        ::inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
        std::string out(text);
        out.append(":").append(std::to_string(port()));
        return out;
    }
    if (family() == AF_INET6) {
        sockaddr_in6 in6;
        std::memcpy(&in6, &storage_, sizeof(in6));
        ::inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
        std::string out("[");
        out.append(text).append("]:").append(std::to_string(port()));
        return out;
    }
    if (family() == AF_UNIX) {
        sockaddr_un un;
        std::memcpy(&un, &storage_, sizeof(un));
        const std::size_t length = size_ - std::min<std::size_t>(size_, offsetof(sockaddr_un, sun_path));
        if (length == 0) return {};
        if (un.sun_path[0] == '\0') return '@' + std::string(un.sun_path + 1, length - 1);
        return {un.sun_path, ::strnlen(un.sun_path, length)};
    }
    return "no address";
}

} // namespace levada
