#pragma once

#include <sys/types.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include <levada/io/stream.hpp>
#include <levada/task/task.hpp>

namespace levada {

/// Where a child's standard stream goes to or comes from.
enum class child_stream {
    inherit, ///< the same as ours
    null,    ///< /dev/null
    pipe,    ///< a pipe whose other end is here
};

struct child_options {
    child_stream input = child_stream::inherit;
    child_stream output = child_stream::inherit;
    child_stream error = child_stream::inherit;
    std::string directory = {};                               ///< where it runs; empty: here
    std::optional<std::vector<std::string>> environment = {}; ///< "NAME=value"; none: ours
};

/// How a child ended.
struct exit_status {
    int code = 0;   ///< what it returned
    int signal = 0; ///< or what killed it; 0: nothing did
    [[nodiscard]] bool success() const noexcept { return code == 0 && signal == 0; }
};

/// A program in a process of its own. Move-only. Dropped while it runs, by a cancel for example, it (and not
/// what it has started in its turn) is killed and waited for.
class child_process {
public:
    /// Starts `arguments[0]`, which is looked for in PATH if it has no slash, with these arguments. It begins
    /// with no signal blocked, all of them as by default, and with no descriptors but its standard streams
    /// and those that were opened to be inherited. *Outcomes*: `std::errc::invalid_argument` without
    /// arguments; the system's code (`ENOENT`: no such program; `ESRCH`: it has ended already, and this
    /// process ignores SIGCHLD, so that nothing is known of it). Does not suspend, but for as long as the
    /// system needs.
    [[nodiscard]] static result<child_process> start(const std::vector<std::string>& arguments,
                                                     const child_options& options = {});
    ~child_process();
    child_process(child_process&& other) noexcept;
    child_process& operator=(child_process&& other) noexcept;

    /// The ends of the pipes that were asked for. Reset, or closed, `input()` ends the child's input.
    [[nodiscard]] std::optional<byte_stream>& input() noexcept { return input_; }
    [[nodiscard]] std::optional<byte_stream>& output() noexcept { return output_; }
    [[nodiscard]] std::optional<byte_stream>& error() noexcept { return error_; }

    /// Waits until it has ended, and says how; again afterwards. *Outcomes*: `result<exit_status>`;
    /// `std::errc::no_child_process` where this process ignores SIGCHLD, so that the system forgets how
    /// children end; the system's code. *Cancel*: stops waiting; it goes on. (Read its pipes meanwhile, or it
    /// may wait for that.)
    [[nodiscard]] task<result<exit_status>> wait();
    /// Sends it a signal. *Outcomes*: `std::errc::no_such_process` once it has ended.
    result<void> kill(int signal = SIGKILL) noexcept;
    [[nodiscard]] ::pid_t pid() const noexcept { return pid_; }

private:
    child_process(::pid_t pid, descriptor handle) noexcept;
    void end() noexcept;
    [[nodiscard]] result<bool> reap(int flags) noexcept; // whether it has ended
    ::pid_t pid_ = 0;
    descriptor handle_; // a pidfd
    std::optional<exit_status> status_;
    std::optional<byte_stream> input_, output_, error_;
};

} // namespace levada
