#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <levada/base/result.hpp>
#include <levada/detail/io/stream_state.hpp>
#include <levada/detail/io/system_failure.hpp>
#include <levada/detail/loop/kernel_op.hpp>

namespace levada::detail {

/// A read from a stream; see byte_stream::read.
class [[nodiscard]] stream_read_op final : public kernel_awaitable<stream_read_op> {
public:
    static constexpr bool selectable = true;
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

/// A write of some, or all, of the bytes; see byte_stream::write_all.
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
    [[nodiscard]] bool finished_after_limit() noexcept {
        if (!kernel_op::finished_after_limit()) return false;
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

struct pieces;

/// A `write_all` of several pieces.
class [[nodiscard]] stream_gather_op final : public kernel_awaitable<stream_gather_op> {
public:
    using outcome = result<std::size_t>;
    stream_gather_op(stream_state& s, std::span<const std::span<const std::byte>> from);
    stream_gather_op(stream_gather_op&& other) noexcept;
    ~stream_gather_op();
    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += "write to a stream"; }
    outcome take() noexcept;
    /// As of `write_all`.
    [[nodiscard]] bool finished_after_limit() noexcept {
        if (!kernel_op::finished_after_limit()) return false;
        withdrawn();
        return !stream_->broken;
    }

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override;
    void withdrawn() noexcept override;
    void lost(int) noexcept override { withdrawn(); }
    stream_state* stream_;
    std::unique_ptr<pieces> pieces_;
    bool at_once_ = false;
};

/// Ends a socket's stream for the peer's reads.
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

} // namespace levada::detail
