#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/core/task.hpp>
#include <levada/io/datagram.hpp>
#include <levada/io/listener.hpp>
#include <levada/io/stream.hpp>

namespace levada {
namespace detail {

/// The file of a bound Unix socket, which goes with its owner.
class socket_file {
public:
    socket_file() noexcept = default;
    explicit socket_file(std::string_view path) : path_(path) {}
    socket_file(socket_file&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    socket_file& operator=(socket_file&& other) noexcept {
        std::swap(path_, other.path_);
        return *this;
    }
    ~socket_file();

private:
    std::string path_;
};

struct descriptor_message;

} // namespace detail

/// What came with some bytes over a Unix socket.
struct bytes_and_descriptors {
    std::size_t size = 0; ///< bytes; 0 at the end of the stream
    std::vector<descriptor> descriptors;
    bool truncated =
        false; ///< more descriptors came than `most_descriptors`, or than may be open: they are lost
};

namespace detail {

class [[nodiscard]] send_descriptors_op final : public kernel_awaitable<send_descriptors_op> {
public:
    using outcome = result<std::size_t>;
    send_descriptors_op(stream_state& s, std::span<const std::byte> bytes, std::span<const int> descriptors);
    send_descriptors_op(send_descriptors_op&& other) noexcept;
    ~send_descriptors_op();
    bool try_commit(work_list&) noexcept override { return refused_ || stream_->broken; }
    void describe(std::string& out) const override { out += "send of descriptors"; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override { return interrupted(answer); }
    stream_state* stream_;
    bool refused_;
    std::unique_ptr<descriptor_message> message_;
};

class [[nodiscard]] recv_descriptors_op final : public kernel_awaitable<recv_descriptors_op> {
public:
    using outcome = result<bytes_and_descriptors>;
    recv_descriptors_op(stream_state& s, std::span<std::byte> to);
    recv_descriptors_op(recv_descriptors_op&& other) noexcept;
    ~recv_descriptors_op();
    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += "descriptors"; }
    outcome take();

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override { return interrupted(answer); }
    stream_state* stream_;
    std::span<std::byte> to_;
    std::unique_ptr<descriptor_message> message_;
    std::optional<std::size_t> kept_; // what a read that came too late had received
    int failed_ = 0;
};

} // namespace detail

/// A connection over a Unix socket.
class unix_stream : public byte_stream {
public:
    /// Connects to a path, or to a name that begins with '@'. *Suspends* until connected. *Outcomes*:
    /// `result<unix_stream>`; `std::errc::invalid_argument`, the system's code. *Cancel*: withdrawn; closed.
    [[nodiscard]] static task<result<unix_stream>> connect(std::string path);
    /// Two that are connected to each other. Does not suspend.
    [[nodiscard]] static result<std::pair<unix_stream, unix_stream>> pair();

    /// The most descriptors that go with one message.
    static constexpr std::size_t most_descriptors = 32;
    /// Writes some of the bytes, at least one, and with the first of them descriptors, which stay open here:
    /// the peer gets its own. *Outcomes*: the count of bytes; `std::errc::invalid_argument` without bytes, or
    /// with more than `most_descriptors`; `EPIPE` on a broken stream; the system's code.
    [[nodiscard]] detail::send_descriptors_op write_descriptors(std::span<const std::byte> bytes,
                                                                std::span<const int> descriptors) {
        return {state(), bytes, descriptors};
    }
    [[nodiscard]] detail::send_descriptors_op write_descriptors(std::string_view bytes,
                                                                std::span<const int> descriptors) {
        return write_descriptors(std::as_bytes(std::span<const char>(bytes.data(), bytes.size())),
                                 descriptors);
    }
    /// Reads at least one byte, and the descriptors that came with them; a plain `read` closes those. They
    /// are closed with the outcome. *Cancel*: withdrawn; what came all the same is reported.
    [[nodiscard]] detail::recv_descriptors_op read_descriptors(std::span<std::byte> to) {
        return {state(), to};
    }
    [[nodiscard]] detail::recv_descriptors_op read_descriptors(std::span<char> to) {
        return read_descriptors(std::as_writable_bytes(to));
    }

    /// For the library: a connected socket.
    explicit unix_stream(detail::descriptor fd) : byte_stream(std::move(fd), true) {}
};

/// A Unix socket that accepts connections. Move-only. Its file is made by `bind`, and removed with its owner.
class unix_listener {
public:
    /// *Outcomes*: `std::errc::address_in_use` if the path is there, even if nobody listens: remove it first;
    /// the system's code. Does not suspend.
    [[nodiscard]] static result<unix_listener> bind(std::string_view path, int backlog = 1024);
    /// Waits for a connection. As `tcp_listener::accept`.
    [[nodiscard]] detail::accept_op<unix_stream> accept() noexcept {
        return detail::accept_op<unix_stream>(*state_);
    }
    [[nodiscard]] socket_address local_address() const noexcept { return address_; }
    [[nodiscard]] int native_handle() const noexcept { return state_->fd.get(); }

private:
    unix_listener(detail::descriptor fd, const socket_address& address, detail::socket_file file);
    detail::socket_file file_;
    std::unique_ptr<detail::listener_state> state_;
    socket_address address_;
};

/// A Unix socket of datagrams, which arrive whole, in order, and are not lost. Its file goes with its owner.
class unix_datagram : public datagram_socket {
public:
    [[nodiscard]] static result<unix_datagram> bind(std::string_view path);
    /// One without a name: for sending.
    [[nodiscard]] static result<unix_datagram> unbound();
    /// Two that are connected to each other.
    [[nodiscard]] static result<std::pair<unix_datagram, unix_datagram>> pair();

private:
    unix_datagram(detail::descriptor fd, detail::socket_file file)
        : datagram_socket(std::move(fd)), file_(std::move(file)) {}
    detail::socket_file file_;
};

} // namespace levada
