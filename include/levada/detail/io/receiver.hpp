#pragma once

#include <cerrno>
#include <cstddef>
#include <span>
#include <string>

#include <levada/base/result.hpp>
#include <levada/detail/loop/multishot.hpp>
#include <levada/io/io_buffer.hpp>

namespace levada::detail {

/// What a receive has brought: bytes, or the kernel's word that there are none.
struct received {
    [[nodiscard]] static received lost() noexcept {
        received r;
        r.answer = -ENOMEM;
        return r;
    }
    io_buffer bytes;
    int answer = 0; // a count, 0 at the end of the stream, or a negated errno
};

/// Receives from a stream for as long as its owner wants it: many times by one submission, into buffers that
/// the kernel takes from its ring's pool; or where that cannot be had, once each into one of the heap.
class receiver final : public arrivals<received> {
public:
    receiver(int fd, bool is_socket) noexcept
        : arrivals(most_queued), fd_(fd), socket_(is_socket), multishot_(is_socket) {
        unsure_.self = this;
        unsure_.descriptor = fd;
    }
    ~receiver() override;
    /// What reads have left over, before anything else.
    void bring_kept(std::span<const std::byte> bytes);
    void bring_failure(int answer);

private:
    // What is received ahead of who reads: more than this, and the peer has to wait.
    static constexpr std::size_t most_queued = 16;
    void prepare(io_uring_sqe& sqe) noexcept override;
    next arrived(int result, unsigned flags) noexcept override;
    void let_go() noexcept override;

    const int fd_;
    const bool socket_;
    bool multishot_;
    bool one_shot_ = false;
    bool own_next_ = false; // the pool is empty: the next receive has memory of its own
    std::byte* own_ = nullptr;
    unsure_hook unsure_;
};

/// Waits for what comes next; see byte_stream::receive.
class [[nodiscard]] receive_op final : public awaitable_arm<receive_op, arrival_arm<received>> {
    using base = awaitable_arm<receive_op, arrival_arm<received>>;

public:
    using outcome = result<io_buffer>;
    explicit receive_op(receiver& from) noexcept : base(from) {}
    receive_op(receive_op&& other) noexcept : base(other.from()) {}
    void describe(std::string& out) const override { out += "receive from a stream"; }
    outcome await_resume() noexcept { return take(); }
    outcome take() noexcept;
};

} // namespace levada::detail
