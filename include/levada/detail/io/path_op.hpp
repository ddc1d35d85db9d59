#pragma once

#include <cerrno>
#include <string>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/detail/loop/kernel_op.hpp>

namespace levada::detail {

/// What is done to paths.
class [[nodiscard]] path_op final : public kernel_awaitable<path_op> {
public:
    enum class action { rename, remove, remove_directory, make_directory };
    using outcome = result<void>;
    path_op(action a, std::string path, std::string to = {}) noexcept
        : action_(a), path_(std::move(path)), to_(std::move(to)) {}
    path_op(path_op&& other) noexcept
        : action_(other.action_), path_(std::move(other.path_)), to_(std::move(other.to_)) {}
    void describe(std::string& out) const override;
    outcome take() noexcept;

private:
    void prepare(io_uring_sqe& sqe) noexcept override;
    bool again(int answer) noexcept override { return answer == -EINTR; }
    action action_;
    std::string path_;
    std::string to_;
};

} // namespace levada::detail
