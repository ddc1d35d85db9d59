#pragma once

#include <string>
#include <system_error>

#include <levada/base/result.hpp>
#include <levada/detail/io/system_failure.hpp>
#include <levada/detail/loop/kernel_op.hpp>
#include <levada/io/descriptor.hpp>

namespace levada::detail {

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

} // namespace levada::detail
