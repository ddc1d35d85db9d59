#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <levada/detail/io/close_op.hpp>
#include <levada/detail/io/receiver.hpp>
#include <levada/detail/io/stream_ops.hpp>
#include <levada/detail/io/stream_state.hpp>
#include <levada/detail/util/pooled.hpp>
#include <levada/io/descriptor.hpp>
#include <levada/io/io_buffer.hpp>

namespace levada {

/// A stream of bytes: what connections, the ends of pipes, standard input and output share. Move-only; closed
/// with its owner. One task may read and another write at the same time; it must outlive their operations, as
/// an object does that is declared before them.
class byte_stream {
public:
    /// Reads at least one byte; 0 at the end of the stream (or for an empty buffer).
    /// *Suspends* until there is one. *Outcomes*: the count; the system's code. The kernel owns the buffer
    /// until the operation is over. *Cancel*: withdrawn; bytes that came all the same are reported, or kept
    /// for the next read. An arm of select.
    [[nodiscard]] detail::stream_read_op read(std::span<std::byte> to) noexcept { return {*state_, to}; }
    [[nodiscard]] detail::stream_read_op read(std::span<char> to) noexcept {
        return read(std::as_writable_bytes(to));
    }
    /// Receives what has come, at least one byte, in memory that the loop lends: `while (auto piece =
    /// co_await s.receive())`. From the first call on the kernel goes on receiving by itself (multishot,
    /// into buffers of its ring), up to 16 pieces ahead; then the peer has to wait. Nothing is held for a
    /// stream that is silent. Where it can not, from pipes, and in a guest's ring, it receives once a call,
    /// into a buffer of the heap.
    ///
    /// *Suspends* until there is some. *Outcomes*: an `io_buffer`; `errc::closed` at the end of the stream;
    /// the system's code. *Cancel*:
    /// withdrawn; nothing is lost, and nothing has to be asked of the kernel. An arm of select.
    ///
    /// One way to read at a time: `read` takes what was received and not taken yet, and fails with `EBUSY`
    /// once there is none, for as long as the kernel receives.
    [[nodiscard]] detail::receive_op receive() { return detail::receive_op(state_->receive()); }
    /// Writes some of the bytes, at least one. *Outcomes*: the count; the system's code, `EPIPE` among them
    /// (no signal is raised).
    [[nodiscard]] detail::stream_write_op write(std::span<const std::byte> from) noexcept {
        return {*state_, from, false};
    }
    [[nodiscard]] detail::stream_write_op write(std::string_view from) noexcept {
        return write(bytes_of(from));
    }
    /// Writes all of the bytes. Cut short by an error or a cancel it marks the stream broken: writes then
    /// fail with `EPIPE`. *Outcomes*: the count, which is all; the system's code.
    [[nodiscard]] detail::stream_write_op write_all(std::span<const std::byte> from) noexcept {
        return {*state_, from, true};
    }
    [[nodiscard]] detail::stream_write_op write_all(std::string_view from) noexcept {
        return write_all(bytes_of(from));
    }

    /// The same for several pieces, one after the other, in one message where the system can. The pieces, not
    /// only their bytes, are copied before it suspends.
    [[nodiscard]] detail::stream_gather_op write_all(std::span<const std::span<const std::byte>> pieces) {
        return {*state_, pieces};
    }
    template <class... More>
        requires(std::convertible_to<More, std::string_view> && ...)
    [[nodiscard]] detail::stream_gather_op write_all(std::string_view first, std::string_view second,
                                                     More&&... more) {
        const std::array<std::span<const std::byte>, 2 + sizeof...(More)> pieces{
            bytes_of(first), bytes_of(second), bytes_of(std::string_view(more))...};
        return {*state_, pieces};
    }

    /// Ends the stream for the peer's reads; ours go on. *Outcomes*: `result<void>`; `ENOTSOCK` where it is
    /// no socket.
    [[nodiscard]] detail::shutdown_op shutdown_write() noexcept { return detail::shutdown_op(*state_); }
    /// Closes now and tells how it went. Nothing may read or write meanwhile.
    [[nodiscard]] detail::close_op close() noexcept {
        const bool left = state_->end_receiving();
        return detail::close_op(state_->fd, left);
    }

    [[nodiscard]] int native_handle() const noexcept { return state_->fd.get(); }

    /// Over a descriptor that is open, and is closed with this: one that the program was given. `is_socket`
    /// says whether it is a connected socket; else it is read and written where it stands. It has to be
    /// without `O_NONBLOCK`.
    byte_stream(descriptor fd, bool is_socket)
        : state_(std::make_unique<detail::stream_state>(std::move(fd), is_socket)) {}

protected:
    [[nodiscard]] detail::stream_state& state() const noexcept { return *state_; }

private:
    static std::span<const std::byte> bytes_of(std::string_view s) noexcept {
        return std::as_bytes(std::span<const char>(s.data(), s.size()));
    }
    std::unique_ptr<detail::stream_state> state_;
};

} // namespace levada
