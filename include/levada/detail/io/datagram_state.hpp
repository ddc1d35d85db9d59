#pragma once

#include <cstddef>
#include <deque>
#include <utility>
#include <vector>

#include <levada/io/datagram.hpp>
#include <levada/io/descriptor.hpp>

namespace levada::detail {

/// What a socket of datagrams keeps. It does not move, so that operations may refer to it.
struct datagram_state {
    explicit datagram_state(descriptor d) : fd(std::move(d)) {}
    descriptor fd;
    struct late {
        std::vector<std::byte> bytes;
        datagram what;
    };
    std::deque<late> kept; // what receives that came too late had received
    int kept_error = 0;    // negated errno that one of them was told
};

} // namespace levada::detail
