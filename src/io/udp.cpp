#include <levada/io/udp.hpp>

#include <utility>

namespace levada {

result<udp_socket> udp_socket::bind(std::string_view text, const udp_options& options) {
    auto address = socket_address::parse(text);
    if (!address) return fail(address.error());
    auto fd = open(address->family(), &*address, options.reuse_port);
    if (!fd) return fail(fd.error());
    return udp_socket(std::move(*fd));
}

result<udp_socket> udp_socket::connect(std::string_view text) {
    auto peer = socket_address::parse(text);
    if (!peer) return fail(peer.error());
    auto fd = open(peer->family(), nullptr, false);
    if (!fd) return fail(fd.error());
    udp_socket made(std::move(*fd));
    if (auto r = made.connect_to(*peer); !r) return fail(r.error());
    return made;
}

} // namespace levada
