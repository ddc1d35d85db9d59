#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <levada/base/frame_pool.hpp>
#include <levada/detail/io/receiver.hpp>
#include <levada/io/descriptor.hpp>

namespace levada::detail {

/// What a stream keeps between its operations. It does not move, so that operations may refer to it.
struct stream_state : pooled {
    stream_state(descriptor d, bool is_socket) noexcept : fd(std::move(d)), socket(is_socket) {}
    ~stream_state() {
        if (end_receiving()) (void)fd.release();
    }
    stream_state(const stream_state&) = delete;
    stream_state& operator=(const stream_state&) = delete;
    descriptor fd;
    bool socket;                 // else a pipe, a terminal, a file: read and written where it stands
    std::vector<std::byte> kept; // what a read that came too late had received
    std::size_t kept_read = 0;
    int kept_error = 0;            // negated errno that a losing read was told; after what is kept
    bool broken = false;           // a write was cut short: the peer has part of it
    receiver* receiving = nullptr; // once it was asked for

    /// Takes from what is kept as much as fits; nothing if nothing is kept.
    [[nodiscard]] std::optional<std::size_t> take_kept(std::span<std::byte> to);
    /// Whether the kernel receives by itself.
    [[nodiscard]] bool is_receiving() const noexcept { return receiving && receiving->is_armed(); }
    /// Takes what is kept (as much as fits into `to`), or the failure that a losing read was told, or `EBUSY`
    /// while the kernel receives by itself. False if there is nothing.
    [[nodiscard]] bool take_early(std::span<std::byte> to, std::optional<std::size_t>& count, int& failure);
    [[nodiscard]] receiver& receive();
    /// True if the descriptor is the receiver's now.
    [[nodiscard]] bool end_receiving() noexcept {
        return receiving && std::exchange(receiving, nullptr)->abandon(fd.get());
    }
};

} // namespace levada::detail
