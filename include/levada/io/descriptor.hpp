#pragma once

#include <cerrno>
#include <system_error>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/runtime/kernel_op.hpp>

namespace levada {
namespace detail {

/// A file descriptor that is closed with its owner.
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

/// The failure that a negated errno of the kernel means.
[[nodiscard]] inline failure system_failure(int negated) noexcept {
    return fail(std::error_code(-negated, std::system_category()));
}

/// `co_await x.close()`: the descriptor is gone afterwards, whatever the outcome.
class [[nodiscard]] close_op final : public kernel_awaitable<close_op> {
public:
    using outcome = result<void>;
    /// `left`: somebody else closes it, and it is gone from here at once.
    explicit close_op(descriptor& d, bool left = false) noexcept : fd_(d.get()), from_(&d), left_(left) {
        if (left) (void)d.release();
    }
    close_op(close_op&& other) noexcept : fd_(other.fd_), from_(other.from_), left_(other.left_) {}
    bool try_commit(work_list&) noexcept override { return fd_ < 0 || left_; }
    void describe(std::string& out) const override { out += "close"; }
    outcome take() noexcept {
        if (fd_ < 0) return fail(std::make_error_code(std::errc::bad_file_descriptor));
        if (left_) return {};
        if (answer() < 0) return system_failure(answer());
        return {};
    }

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    int fd_;
    descriptor* from_;
    bool left_;
};

/// Whether the kernel has done nothing, and has to be asked again.
[[nodiscard]] inline bool interrupted(int answer) noexcept { return answer == -EINTR || answer == -EAGAIN; }

/// The failure of the system call that came just before.
[[nodiscard]] inline failure last_error() noexcept { return system_failure(-errno); }

} // namespace detail

/// A file descriptor that is closed with its owner: `get()`, `release()`, `reset()`.
using detail::descriptor;

/// Waits until a descriptor of one's own is ready for `events` (POLLIN, POLLOUT, ...), and gives what it is
/// ready for. *Outcomes*: `result<short>`. *Cancel*: withdrawn; nothing was read or written. An arm of
/// select.
class [[nodiscard]] poll_op final : public detail::kernel_awaitable<poll_op> {
public:
    static constexpr bool may_lose = true;
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
