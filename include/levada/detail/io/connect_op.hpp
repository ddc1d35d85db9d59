#pragma once

#include <string>

#include <levada/base/result.hpp>
#include <levada/detail/io/system_failure.hpp>
#include <levada/detail/loop/kernel_op.hpp>
#include <levada/io/address.hpp>

namespace levada::detail {

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
