#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <levada/base/result.hpp>
#include <levada/detail/io/datagram_state.hpp>
#include <levada/detail/io/system_failure.hpp>
#include <levada/detail/loop/kernel_op.hpp>
#include <levada/io/address.hpp>
#include <levada/io/datagram.hpp>

namespace levada::detail {

/// A message header with what it refers to.
struct message_space;

/// Waits for a datagram; see datagram_socket::recv_from.
class [[nodiscard]] recv_from_op final : public kernel_awaitable<recv_from_op> {
public:
    static constexpr bool selectable = true;
    using outcome = result<datagram>;
    recv_from_op(datagram_state& s, std::span<std::byte> to);
    recv_from_op(recv_from_op&& other) noexcept;
    ~recv_from_op();
    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += "a datagram"; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override { return interrupted(answer); }
    void lost(int answer) noexcept override;
    [[nodiscard]] datagram received(int size) const noexcept;
    datagram_state* socket_;
    std::span<std::byte> to_;
    std::unique_ptr<message_space> space_;
    bool at_once_ = false;
    int failed_ = 0;
    datagram kept_;
};

/// Sends one datagram; see datagram_socket::send_to.
class [[nodiscard]] send_to_op final : public kernel_awaitable<send_to_op> {
public:
    using outcome = result<void>;
    /// Without an address to the peer that the socket is connected to.
    send_to_op(datagram_state& s, std::span<const std::byte> from, const socket_address* to);
    send_to_op(send_to_op&& other) noexcept;
    ~send_to_op();
    void describe(std::string& out) const override { out += "send of a datagram"; }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override { return interrupted(answer); }
    datagram_state* socket_;
    std::span<const std::byte> from_;
    std::unique_ptr<message_space> space_;
};

} // namespace levada::detail
