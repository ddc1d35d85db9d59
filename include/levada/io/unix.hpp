#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <levada/base/result.hpp>
#include <levada/detail/io/accept_op.hpp>
#include <levada/detail/io/descriptor_passing.hpp>
#include <levada/detail/io/listener_state.hpp>
#include <levada/detail/io/socket_file.hpp>
#include <levada/io/address.hpp>
#include <levada/io/datagram_socket.hpp>
#include <levada/io/descriptor.hpp>
#include <levada/io/stream.hpp>
#include <levada/task/task.hpp>

namespace levada {

/// What came with some bytes over a Unix socket.
struct bytes_and_descriptors {
    std::size_t size = 0; ///< bytes; 0 at the end of the stream
    std::vector<descriptor> descriptors;
    bool truncated =
        false; ///< more descriptors came than `most_descriptors`, or than may be open: they are lost
};

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

    /// Over a connected socket that the program was given. It is closed with this, and has to be without
    /// `O_NONBLOCK`.
    explicit unix_stream(descriptor fd) : byte_stream(std::move(fd), true) {}
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
    unix_listener(descriptor fd, const socket_address& address, detail::socket_file file);
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
    unix_datagram(descriptor fd, detail::socket_file file)
        : datagram_socket(std::move(fd)), file_(std::move(file)) {}
    detail::socket_file file_;
};

} // namespace levada
