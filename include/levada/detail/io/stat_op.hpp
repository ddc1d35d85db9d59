#pragma once

#include <memory>
#include <string>

#include <levada/base/result.hpp>
#include <levada/detail/loop/kernel_op.hpp>

struct statx;

namespace levada {
class file_status;
}

namespace levada::detail {

/// Asks what is known of a file, open or by its path.
class [[nodiscard]] stat_op final : public kernel_awaitable<stat_op> {
public:
    using outcome = result<file_status>;
    /// `path`, or with an empty one the descriptor itself.
    stat_op(int fd, std::string path);
    stat_op(stat_op&& other) noexcept;
    ~stat_op();
    void describe(std::string& out) const override {
        out += path_.empty() ? "stat of a file" : "stat of " + path_;
    }
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    int fd_;
    std::string path_;
    std::unique_ptr<struct statx> into_;
};

} // namespace levada::detail
