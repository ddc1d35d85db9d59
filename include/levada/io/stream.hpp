#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <levada/io/descriptor.hpp>
#include <levada/io/receive.hpp>

namespace levada {
namespace detail {

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

class [[nodiscard]] stream_read_op final : public kernel_awaitable<stream_read_op> {
public:
    static constexpr bool may_lose = true;
    using outcome = result<std::size_t>;
    stream_read_op(stream_state& s, std::span<std::byte> to) noexcept : stream_(&s), to_(to) {}
    stream_read_op(stream_read_op&& other) noexcept : stream_(other.stream_), to_(other.to_) {}
    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += "read from a stream"; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override;
    void lost(int answer) noexcept override;
    stream_state* stream_;
    std::span<std::byte> to_;
    std::optional<std::size_t> at_once_;
    int failed_ = 0;
};

class [[nodiscard]] stream_write_op final : public kernel_awaitable<stream_write_op> {
public:
    using outcome = result<std::size_t>;
    stream_write_op(stream_state& s, std::span<const std::byte> from, bool all) noexcept
        : stream_(&s), from_(from), all_(all) {}
    stream_write_op(stream_write_op&& other) noexcept
        : stream_(other.stream_), from_(other.from_), all_(other.all_) {}
    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += "write to a stream"; }
    outcome take() noexcept;

protected:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override;
    void withdrawn() noexcept override;
    void lost(int) noexcept override { withdrawn(); }

public:
    /// Of a write that a limit cut short, only a whole one counts as done.
    [[nodiscard]] bool came_late() noexcept {
        if (!kernel_op::came_late()) return false;
        withdrawn();
        return !stream_->broken;
    }

private:
    stream_state* stream_;
    std::span<const std::byte> from_;
    std::size_t written_ = 0;
    bool all_;
    bool at_once_ = false;
};

struct pieces;

/// A `write_all` of several pieces.
class [[nodiscard]] stream_gather_op final : public kernel_awaitable<stream_gather_op> {
public:
    using outcome = result<std::size_t>;
    stream_gather_op(stream_state& s, std::span<const std::span<const std::byte>> from);
    stream_gather_op(stream_gather_op&& other) noexcept;
    ~stream_gather_op();
    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += "write to a stream"; }
    outcome take() noexcept;
    /// As of `write_all`.
    [[nodiscard]] bool came_late() noexcept {
        if (!kernel_op::came_late()) return false;
        withdrawn();
        return !stream_->broken;
    }

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override;
    void withdrawn() noexcept override;
    void lost(int) noexcept override { withdrawn(); }
    stream_state* stream_;
    std::unique_ptr<pieces> pieces_;
    bool at_once_ = false;
};

class [[nodiscard]] shutdown_op final : public kernel_awaitable<shutdown_op> {
public:
    using outcome = result<void>;
    explicit shutdown_op(stream_state& s) noexcept : stream_(&s) {}
    shutdown_op(shutdown_op&& other) noexcept : stream_(other.stream_) {}
    void describe(std::string& out) const override { out += "shutdown of a stream"; }
    outcome take() noexcept {
        if (answer() < 0) return system_failure(answer());
        return {};
    }

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    stream_state* stream_;
};

} // namespace detail

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

    /// For the library: an open descriptor.
    byte_stream(detail::descriptor fd, bool is_socket)
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
