#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace levada::detail {

/// The number that a descriptor of ours has: never 0, 1 or 2, which are the program's standard streams, even
/// where it was started without one of them. Each descriptor that the library makes passes through here
/// before anything else is done with it. `made`: one that was just made, or negative, which stays so. Gives
/// -1 and sets errno, and the descriptor is closed, when there is no other number.
[[nodiscard]] inline int above_standard(int made) noexcept {
    if (made < 0 || made > STDERR_FILENO) [[likely]]
        return made;
    const int moved = ::fcntl(made, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int error = errno;
    ::close(made);
    errno = error;
    return moved;
}

/// The same for both of a pair.
[[nodiscard]] inline bool both_above_standard(int (&made)[2]) noexcept {
    made[0] = above_standard(made[0]);
    made[1] = above_standard(made[1]);
    if (made[0] >= 0 && made[1] >= 0) return true;
    for (int fd : made)
        if (fd >= 0) ::close(fd);
    errno = EMFILE; // there is no other reason
    return false;
}

/// The same for the answer of the kernel to an operation: a descriptor, or a negated errno.
[[nodiscard]] inline int answer_above_standard(int answer) noexcept {
    const int moved = above_standard(answer);
    return moved < 0 && answer >= 0 ? -errno : moved;
}

} // namespace levada::detail
