#pragma once

#include <cstddef>
#include <string>

namespace levada::debug {

/// While it lives, notes what tasks do, and then writes that as a timeline: open the file in
/// https://ui.perfetto.dev or chrome://tracing.
///
/// A track for each thread has a slice for each run of a task, under the name of the task or the place where
/// it was started, with what it had waited for; a mark for each operation that it awaits there; and an arrow
/// from whoever woke it. Files are in Chrome's trace event format (JSON).
///
/// One at a time. Each thread keeps a million events in memory (32 MB), and drops what comes later: how many
/// says `stop`, and the file. From its begin on, the process counts as one of several threads, as it does
/// once it has started one: operations take the paths that are safe for those. Before, the cost is one
/// predictable branch each time that a task runs. Tasks on a loop of the user's own show their operations
/// only. *Threads*: any.
class trace {
public:
    /// Begins, to be written to `file`. Throws `std::logic_error` while another is being taken.
    explicit trace(std::string file);
    /// Stops, if that was not done before; an error is told on stderr.
    ~trace();
    trace(const trace&) = delete;
    trace& operator=(const trace&) = delete;

    struct summary {
        std::size_t events = 0;
        std::size_t dropped = 0;
    };
    /// Ends the trace and writes the file. Throws `std::system_error` that names the file when it cannot be
    /// written: what was noted is lost then. A second call does nothing.
    summary stop();

private:
    std::string file_;
    bool on_ = true;
};

} // namespace levada::debug
