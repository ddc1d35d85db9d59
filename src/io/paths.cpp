#include <levada/io/paths.hpp>

#include <fcntl.h>
#include <liburing.h>

#include <cstddef>

#include <levada/detail/io/system_failure.hpp>

namespace levada::detail {

void path_op::prepare(io_uring_sqe& sqe) noexcept {
    switch (action_) {
        case action::rename:
            io_uring_prep_renameat(&sqe, AT_FDCWD, path_.c_str(), AT_FDCWD, to_.c_str(), 0);
            break;
        case action::remove: io_uring_prep_unlinkat(&sqe, AT_FDCWD, path_.c_str(), 0); break;
        case action::remove_directory:
            io_uring_prep_unlinkat(&sqe, AT_FDCWD, path_.c_str(), AT_REMOVEDIR);
            break;
        case action::make_directory: io_uring_prep_mkdirat(&sqe, AT_FDCWD, path_.c_str(), 0777); break;
    }
}

void path_op::describe(std::string& out) const {
    constexpr const char* names[] = {"rename of ", "removal of ", "removal of directory ",
                                     "making of directory "};
    out += names[static_cast<std::size_t>(action_)];
    out += path_;
}

result<void> path_op::take() noexcept {
    if (answer() < 0) return system_failure(answer());
    return {};
}

} // namespace levada::detail
