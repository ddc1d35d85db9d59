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

namespace levada {
struct bytes_and_descriptors;
}

namespace levada::detail {

/// A message header with what it refers to.
struct descriptor_message;

/// Sends bytes, and descriptors with the first of them; see unix_stream::write_descriptors.
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

/// Waits for bytes, and the descriptors that come with them; see unix_stream::read_descriptors.
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

} // namespace levada::detail
