#pragma once

#include <cstddef>

#include <levada/io/address.hpp>

namespace levada {

/// What came with a datagram.
struct datagram {
    std::size_t size = 0;   ///< bytes that were put into the buffer
    socket_address from;    ///< who sent it
    bool truncated = false; ///< it was longer than the buffer; the rest is lost
};

} // namespace levada
