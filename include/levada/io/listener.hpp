#pragma once

#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <levada/io/address.hpp>
#include <levada/io/descriptor.hpp>
#include <levada/runtime/multishot.hpp>

namespace levada::detail {

/// What an accept has brought: a connection, or the kernel's word that it cannot have one.
struct accepted {
    [[nodiscard]] static accepted lost() noexcept {
        accepted a;
        a.failure = -ENOMEM;
        return a;
    }
    descriptor connection;
    int failure = 0; // a negated errno
};

/// Accepts connections for as long as its owner wants them: many by one submission, or where the kernel
/// cannot, one each.
class acceptor final : public arrivals<accepted> {
public:
    acceptor(int fd, bool ahead) noexcept
        : arrivals(most_queued), fd_(fd), ahead_(ahead), multishot_(ahead) {}

private:
    // When so many have been accepted ahead of who asks, what comes then stays in the system's backlog.
    static constexpr std::size_t most_queued = 16;
    void prepare(io_uring_sqe& sqe) noexcept override;
    next arrived(int result, unsigned flags) noexcept override;
    const int fd_;
    const bool ahead_;
    bool multishot_;
};

/// A listening socket. It does not move.
class listener_state {
public:
    listener_state(descriptor d, bool ahead) : fd(std::move(d)), accepting(new acceptor(fd.get(), ahead)) {}
    ~listener_state() {
        if (accepting->abandon(fd.get())) (void)fd.release();
    }
    listener_state(const listener_state&) = delete;
    listener_state& operator=(const listener_state&) = delete;
    descriptor fd;
    acceptor* const accepting;
};

/// Waits for a connection; see tcp_listener::accept.
template <class Stream>
class [[nodiscard]] accept_op final : public awaitable_arm<accept_op<Stream>, arrival_arm<accepted>> {
    using base = awaitable_arm<accept_op, arrival_arm<accepted>>;

public:
    using outcome = result<Stream>;
    explicit accept_op(listener_state& l) noexcept : base(*l.accepting) {}
    accept_op(accept_op&& other) noexcept : base(other.from()) {}
    void describe(std::string& out) const override { out += "accept"; }
    outcome await_resume() { return take(); }
    outcome take() {
        accepted got = this->taken();
        if (got.failure != 0) return system_failure(got.failure);
        return Stream(std::move(got.connection));
    }
};

/// A socket that is bound, and listens.
[[nodiscard]] result<descriptor> listen_on(descriptor socket, const socket_address& address, int backlog);
/// A new socket that is connected. *Cancel*: withdrawn, and closed.
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

} // namespace levada::detail
