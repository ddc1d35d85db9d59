#pragma once

#include <string_view>

#include <levada/base/result.hpp>
#include <levada/io/datagram_socket.hpp>

namespace levada {

struct udp_options {
    bool reuse_port = false;
};

/// A UDP socket, IPv4 or IPv6.
class udp_socket : public datagram_socket {
public:
    /// Binds to "host:port" as `socket_address::parse` reads it; port 0 lets the system choose. *Outcomes*:
    /// `std::errc::invalid_argument`; the system's code. Does not suspend.
    [[nodiscard]] static result<udp_socket> bind(std::string_view address, const udp_options& options = {});
    /// One that is connected to a peer, from an address that the system chooses: for `send`. Does not
    /// suspend.
    [[nodiscard]] static result<udp_socket> connect(std::string_view peer);

private:
    using datagram_socket::datagram_socket;
};

} // namespace levada
