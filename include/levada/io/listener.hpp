#pragma once

#include <deque>
#include <string>
#include <utility>

#include <levada/base/lock.hpp>
#include <levada/io/address.hpp>
#include <levada/io/descriptor.hpp>

namespace levada::detail {

/// What a listening socket keeps between its operations. It does not move.
struct listener_state {
    explicit listener_state(descriptor d) noexcept : fd(std::move(d)) {}
    descriptor fd;
    lock lock_;                  // guards what follows, for acceptors on several loops
    std::deque<descriptor> kept; // connections that an accept received too late
};

/// Waits for a connection; see tcp_listener::accept.
class accept_base : public kernel_op {
public:
    static constexpr bool may_lose = true;
    [[nodiscard]] lock* shared_lock() const noexcept override { return &listener_->lock_; }
    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += "accept"; }

protected:
    explicit accept_base(listener_state& l) noexcept : listener_(&l) {}
    accept_base(accept_base&& other) noexcept : listener_(other.listener_) {}
    ~accept_base() = default;
    [[nodiscard]] result<descriptor> accepted() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override;
    void lost(int answer) noexcept override;
    listener_state* listener_;
    descriptor kept_;
};

template <class Stream>
class [[nodiscard]] accept_op final : public kernel_awaitable<accept_op<Stream>, accept_base> {
public:
    using outcome = result<Stream>;
    explicit accept_op(listener_state& l) noexcept : kernel_awaitable<accept_op, accept_base>(l) {}
    accept_op(accept_op&& other) noexcept = default;
    outcome take() {
        auto fd = this->accepted();
        if (!fd) return fail(fd.error());
        return Stream(std::move(*fd));
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
