#pragma once

#include <string>

#include <levada/base/result.hpp>
#include <levada/task/task.hpp>

namespace levada {

/// The whole of a file. *Outcomes*: the system's code; `std::errc::is_a_directory` and the like.
/// *Cancel*: unwinds; the file is closed.
[[nodiscard]] task<result<std::string>> read_file(std::string path);

/// Replaces a file by these bytes, atomically: they are written and synced beside it under another name,
/// which then takes its place. After an error the old file is as it was, and nothing is left beside it.
[[nodiscard]] task<result<void>> write_file(std::string path, std::string bytes);

} // namespace levada
