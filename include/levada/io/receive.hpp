#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <levada/io/descriptor.hpp>
#include <levada/runtime/multishot.hpp>

namespace levada {

namespace detail {
class buffer_pool;
class receiver;
} // namespace detail

/// Bytes that came, in memory lent by the loop that received them, which gets it back when this is destroyed.
/// Move-only; may go to another task or thread, and outlive its stream and its loop. A piece of one byte
/// holds the memory of the largest (16 KiB): copy what is kept for long.
class [[nodiscard]] io_buffer {
public:
    io_buffer() noexcept = default;
    io_buffer(io_buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          id_(other.id_),
          pool_(std::exchange(other.pool_, nullptr)) {}
    io_buffer& operator=(io_buffer&& other) noexcept {
        if (this != &other) {
            reset();
            data_ = std::exchange(other.data_, nullptr);
            size_ = std::exchange(other.size_, 0);
            id_ = other.id_;
            pool_ = std::exchange(other.pool_, nullptr);
        }
        return *this;
    }
    ~io_buffer() { reset(); }

    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
    [[nodiscard]] std::span<std::byte> bytes() noexcept { return {data_, size_}; }
    [[nodiscard]] std::string_view text() const noexcept {
        return {reinterpret_cast<const char*>(data_), size_};
    }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    /// Gives the memory back early.
    void reset() noexcept {
        if (data_) give_back();
    }

private:
    friend class detail::receiver;
    io_buffer(std::byte* data, std::size_t size, std::uint32_t id, detail::buffer_pool* pool) noexcept
        : data_(data), size_(static_cast<std::uint32_t>(size)), id_(id), pool_(pool) {}
    void give_back() noexcept;

    std::byte* data_ = nullptr;
    std::uint32_t size_ = 0;
    std::uint32_t id_ = 0;
    detail::buffer_pool* pool_ = nullptr; // null: the heap's
};

namespace detail {

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
        : arrivals(most_queued), fd_(fd), socket_(is_socket), multishot_(is_socket) {}
    ~receiver() override;
    /// What reads have left over, before anything else.
    void bring_kept(std::span<const std::byte> bytes);
    void bring_failure(int answer);

private:
    // What is received ahead of who reads: more than this, and the peer has to wait.
    static constexpr std::size_t most_queued = 16;
    void prepare(io_uring_sqe& sqe) noexcept override;
    next arrived(int result, unsigned flags) noexcept override;

    const int fd_;
    const bool socket_;
    bool multishot_;
    bool one_shot_ = false;
    bool own_next_ = false; // the pool is empty: the next receive has memory of its own
    std::byte* own_ = nullptr;
};

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

} // namespace detail
} // namespace levada
