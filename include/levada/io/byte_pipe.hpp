#pragma once

#include <levada/io/stream.hpp>

namespace levada {

/// A pipe: what is written to one end is read from the other.
///
/// A write to a pipe that nobody reads fails with `EPIPE`: `open` has the process ignore SIGPIPE, if nothing
/// was set for it. (Children that `child_process` starts do not inherit that.)
struct byte_pipe {
    byte_stream reader;
    byte_stream writer; ///< once it is gone, reads give 0 when all is read

    [[nodiscard]] static result<byte_pipe> open();
};

/// Standard input, output and error, on descriptors of their own: closing them closes nothing else. Reads of
/// a terminal or a file, and all writes, are done by a thread of the kernel's. *Outcomes*: the system's code
/// where they are closed.
[[nodiscard]] result<byte_stream> standard_input();
[[nodiscard]] result<byte_stream> standard_output();
[[nodiscard]] result<byte_stream> standard_error();

} // namespace levada
