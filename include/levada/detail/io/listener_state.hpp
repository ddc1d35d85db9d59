#pragma once

#include <cerrno>
#include <cstddef>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/loop/multishot.hpp>
#include <levada/io/address.hpp>
#include <levada/io/descriptor.hpp>

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

/// A socket that is bound, and listens.
[[nodiscard]] result<descriptor> listen_on(descriptor socket, const socket_address& address, int backlog);

} // namespace levada::detail
