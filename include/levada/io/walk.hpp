#pragma once

#include <string>
#include <system_error>
#include <utility>

#include <levada/base/result.hpp>
#include <levada/channel/channel.hpp>
#include <levada/task/task.hpp>

namespace levada {

/// A file that `walk` found, or a place where it could not look.
class walk_entry {
public:
    walk_entry(std::string p, std::error_code e) noexcept : path(std::move(p)), error(e) {}
    std::string path;
    std::error_code error;
};

/// Sends every regular file below `root` (or `root`, if it is one) to `out`, and what could not be read with
/// its error; then returns. Links to directories are not followed, links to files are. Directories are listed
/// on the loop's thread, one at a time, since io_uring cannot. *Outcomes*: `errc::closed` if nobody receives.
[[nodiscard]] task<result<void>> walk(std::string root, send_channel<walk_entry> out);

} // namespace levada
