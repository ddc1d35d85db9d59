#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <levada/core/task.hpp>
#include <levada/io/address.hpp>
#include <levada/io/descriptor.hpp>

namespace levada {

class tcp_stream;
class tcp_listener;

namespace detail {

/// What a stream keeps between its operations. It does not move, so that operations may refer to it.
struct stream_state {
    explicit stream_state(descriptor d) noexcept : fd(std::move(d)) {}
    descriptor fd;
    std::vector<std::byte> kept; // what a read that came too late had received
    std::size_t kept_read = 0;
    int kept_error = 0;  // negated errno that a losing read was told; after what is kept
    bool broken = false; // a write was cut short: the peer has part of it
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

class [[nodiscard]] connect_op final : public kernel_awaitable<connect_op> {
public:
    using outcome = result<void>;
    connect_op(int fd, const socket_address& to) noexcept : fd_(fd), to_(to) {}
    connect_op(connect_op&& other) noexcept : fd_(other.fd_), to_(other.to_) {}
    void describe(std::string& out) const override { out += "connect to " + to_.to_string(); }
    outcome take() noexcept {
        if (answer() < 0) return system_failure(answer());
        return {};
    }

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    int fd_;
    socket_address to_;
};

struct listener_state {
    explicit listener_state(descriptor d) noexcept : fd(std::move(d)) {}
    descriptor fd;
    lock lock_;                  // guards what follows, for acceptors on several loops
    std::deque<descriptor> kept; // connections that an accept received too late
};

class [[nodiscard]] accept_op final : public kernel_awaitable<accept_op> {
public:
    static constexpr bool may_lose = true;
    using outcome = result<tcp_stream>;
    explicit accept_op(listener_state& l) noexcept : listener_(&l) {}
    [[nodiscard]] lock* shared_lock() const noexcept override { return &listener_->lock_; }
    accept_op(accept_op&& other) noexcept : listener_(other.listener_) {}
    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += "accept"; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override;
    void lost(int answer) noexcept override;
    listener_state* listener_;
    descriptor kept_;
};

} // namespace detail

/// A TCP connection. Move-only; closed with its owner. One task may read and another write at the same time;
/// it must outlive their operations, as an object does that is declared before them.
class tcp_stream {
public:
    /// Connects to "host:port", where host is a number or localhost.
    /// *Suspends* until connected. *Outcomes*: `result<tcp_stream>`: `std::errc::invalid_argument` for a text
    /// that is no address; the system's code. A task, not an operation: start it with `with_timeout(d,
    /// tcp_stream::connect, "...")` for a limit. *Cancel*: withdrawn; the socket is closed.
    [[nodiscard]] static task<result<tcp_stream>> connect(std::string address);

    /// Reads at least one byte; 0 at the end of the stream (or for an empty buffer).
    /// *Suspends* until there is one. *Outcomes*: the count; the system's code. The kernel owns the buffer
    /// until the operation is over. *Cancel*: withdrawn; bytes that came all the same are reported, or kept
    /// for the next read. An arm of select.
    [[nodiscard]] detail::stream_read_op read(std::span<std::byte> to) noexcept { return {*state_, to}; }
    [[nodiscard]] detail::stream_read_op read(std::span<char> to) noexcept {
        return read(std::as_writable_bytes(to));
    }
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

    /// Ends the stream for the peer's reads; ours go on. *Outcomes*: `result<void>`.
    [[nodiscard]] detail::shutdown_op shutdown_write() noexcept { return detail::shutdown_op(*state_); }
    /// Closes now and tells how it went. Nothing may read or write meanwhile.
    [[nodiscard]] detail::close_op close() noexcept { return detail::close_op(state_->fd); }

    [[nodiscard]] result<socket_address> local_address() const;
    [[nodiscard]] result<socket_address> peer_address() const;
    /// Sends small writes at once (TCP_NODELAY). On, to begin with.
    result<void> set_no_delay(bool on) noexcept;
    [[nodiscard]] int native_handle() const noexcept { return state_->fd.get(); }

    /// For the library: a connected socket.
    explicit tcp_stream(detail::descriptor fd);

private:
    static std::span<const std::byte> bytes_of(std::string_view s) noexcept {
        return std::as_bytes(std::span<const char>(s.data(), s.size()));
    }
    std::unique_ptr<detail::stream_state> state_;
};

struct tcp_listen_options {
    int backlog = 1024;
    bool reuse_address = true;
    bool reuse_port = false;
};

/// A TCP socket that accepts connections. Move-only; closed with its owner.
class tcp_listener {
public:
    /// Binds and listens; port 0 lets the system choose. *Outcomes*: `std::errc::invalid_argument` for a text
    /// that is no address; the system's code, `std::errc::address_in_use` among them. Does not suspend.
    [[nodiscard]] static result<tcp_listener> bind(std::string_view address,
                                                   const tcp_listen_options& options = {});

    /// Waits for a connection. *Outcomes*: `result<tcp_stream>`; the system's code (EMFILE: try again later).
    /// *Cancel*: withdrawn; a connection that came all the same is reported, or kept for the next accept. An
    /// arm of select.
    [[nodiscard]] detail::accept_op accept() noexcept { return detail::accept_op(*state_); }
    /// Where it listens, with the port that the system chose.
    [[nodiscard]] socket_address local_address() const noexcept { return address_; }
    [[nodiscard]] int native_handle() const noexcept { return state_->fd.get(); }

private:
    tcp_listener(detail::descriptor fd, const socket_address& address);
    std::unique_ptr<detail::listener_state> state_;
    socket_address address_;
};

} // namespace levada
