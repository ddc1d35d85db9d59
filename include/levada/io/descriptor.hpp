#pragma once

#include <string>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/io/system_failure.hpp>
#include <levada/detail/loop/kernel_op.hpp>

namespace levada {

/// A file descriptor that is closed with its owner: `get()`, `release()`, `reset()`.
class descriptor {
public:
    descriptor() noexcept = default;
    explicit descriptor(int fd) noexcept : fd_(fd) {}
    descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~descriptor() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    void reset() noexcept;

private:
    int fd_ = -1;
};

/// Waits until a descriptor of one's own is ready for `events` (POLLIN, POLLOUT, ...), and gives what it is
/// ready for. *Outcomes*: `result<short>`. *Cancel*: withdrawn; nothing was read or written. An arm of
/// select.
class [[nodiscard]] poll_op final : public detail::kernel_awaitable<poll_op> {
public:
    static constexpr bool selectable = true;
    using outcome = result<short>;
    poll_op(int fd, short events) noexcept : fd_(fd), events_(events) {}
    poll_op(poll_op&& other) noexcept : fd_(other.fd_), events_(other.events_) {}
    void describe(std::string& out) const override;
    outcome take() noexcept {
        if (answer() < 0) return detail::system_failure(answer());
        return static_cast<short>(answer());
    }

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    int fd_;
    short events_;
};
[[nodiscard]] inline poll_op poll_descriptor(int fd, short events) noexcept { return poll_op(fd, events); }

} // namespace levada
