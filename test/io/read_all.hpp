#pragma once

#include <support.hpp>

#include <array>
#include <string>

#include <levada/io/stream.hpp>
#include <levada/task/task.hpp>

namespace test_support {

/// What is read from a stream up to its end.
inline levada::task<std::string> read_all(levada::byte_stream& from) {
    std::string out;
    std::array<char, 4096> buffer;
    for (;;) {
        auto n = co_await from.read(buffer);
        REQUIRE(n);
        if (*n == 0) co_return out;
        out.append(buffer.data(), *n);
    }
}

} // namespace test_support
