#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace levada::detail {

/// One submission moves 1 GiB at most: the kernel's lengths are 32 bits wide.
[[nodiscard]] inline unsigned length_of_submission(std::size_t n) noexcept {
    return static_cast<unsigned>(std::min(n, std::size_t(1) << 30));
}

/// Pieces of memory that are read or written one after the other, some at a time.
struct pieces {
    template <class Byte>
    explicit pieces(std::span<const std::span<Byte>> from) {
        all.reserve(from.size());
        for (const std::span<Byte> piece : from) {
            if (piece.empty()) continue;
            all.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
            size += piece.size();
        }
    }
    [[nodiscard]] iovec* left() noexcept { return all.data() + first; }
    [[nodiscard]] unsigned count() const noexcept {
        constexpr std::size_t most = 1024; // IOV_MAX
        return static_cast<unsigned>(std::min(all.size() - first, most));
    }
    void done(std::size_t n) noexcept {
        moved += n;
        while (first < all.size() && n >= all[first].iov_len) n -= all[first++].iov_len;
        if (n == 0) return;
        all[first].iov_base = static_cast<std::byte*>(all[first].iov_base) + n;
        all[first].iov_len -= n;
    }
    [[nodiscard]] bool whole() const noexcept { return moved == size; }

    std::vector<iovec> all; // empty ones are left out
    std::size_t first = 0;  // those before are done
    std::size_t size = 0;   // bytes in all
    std::size_t moved = 0;
    msghdr message{}; // for sockets
};

} // namespace levada::detail
