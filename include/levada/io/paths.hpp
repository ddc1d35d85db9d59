#pragma once

#include <string>
#include <utility>

#include <levada/detail/io/path_op.hpp>
#include <levada/detail/io/stat_op.hpp>
#include <levada/io/file_status.hpp>

namespace levada {

/// What is known of `path`, links followed.
[[nodiscard]] inline detail::stat_op stat_file(std::string path) {
    return detail::stat_op(-100 /* AT_FDCWD */, std::move(path));
}

/// Gives a file another name, and replaces what had it; both on one file system. *Outcomes*: `result<void>`,
/// the system's code. *Cancel*: withdrawn, or done. The same holds for those that follow.
[[nodiscard]] inline detail::path_op rename_file(std::string from, std::string to) {
    return {detail::path_op::action::rename, std::move(from), std::move(to)};
}
/// Removes a name of a file, not of a directory.
[[nodiscard]] inline detail::path_op remove_file(std::string path) {
    return {detail::path_op::action::remove, std::move(path)};
}
/// Makes a directory, with the permissions 0777 less the umask; removes an empty one.
[[nodiscard]] inline detail::path_op make_directory(std::string path) {
    return {detail::path_op::action::make_directory, std::move(path)};
}
[[nodiscard]] inline detail::path_op remove_directory(std::string path) {
    return {detail::path_op::action::remove_directory, std::move(path)};
}

} // namespace levada
