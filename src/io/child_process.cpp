#include <levada/io/child_process.hpp>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <levada/io/byte_pipe.hpp>

#include "../loop/above_standard.hpp"

namespace levada {
namespace {

using detail::last_error;

// glibc has a name for it since 2.36 only.
constexpr auto of_pidfd = static_cast<idtype_t>(3);

class spawn_actions {
public:
    spawn_actions() { ::posix_spawn_file_actions_init(&actions); }
    ~spawn_actions() { ::posix_spawn_file_actions_destroy(&actions); }
    spawn_actions(const spawn_actions&) = delete;
    spawn_actions& operator=(const spawn_actions&) = delete;
    posix_spawn_file_actions_t actions;
};

class spawn_attributes {
public:
    spawn_attributes() {
        ::posix_spawnattr_init(&attributes);
        sigset_t signals;
        ::sigemptyset(&signals);
        ::posix_spawnattr_setsigmask(&attributes, &signals);
        ::sigfillset(&signals);
        ::posix_spawnattr_setsigdefault(&attributes, &signals);
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    ~spawn_attributes() { ::posix_spawnattr_destroy(&attributes); }
    spawn_attributes(const spawn_attributes&) = delete;
    spawn_attributes& operator=(const spawn_attributes&) = delete;
    posix_spawnattr_t attributes;
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
    out.push_back(nullptr);
    return out;
}

} // namespace

child_process::child_process(::pid_t pid, descriptor handle) noexcept
    : pid_(pid), handle_(std::move(handle)) {}

child_process::child_process(child_process&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      handle_(std::move(other.handle_)),
      status_(std::exchange(other.status_, std::nullopt)),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      error_(std::move(other.error_)) {}

child_process& child_process::operator=(child_process&& other) noexcept {
    if (this == &other) return *this;
    end();
    pid_ = std::exchange(other.pid_, 0);
    handle_ = std::move(other.handle_);
    status_ = std::exchange(other.status_, std::nullopt);
    input_ = std::move(other.input_);
    output_ = std::move(other.output_);
    error_ = std::move(other.error_);
    return *this;
}

child_process::~child_process() { end(); }

void child_process::end() noexcept {
    if (!handle_ || status_) return;
    (void)kill();
    (void)reap(0); // it was killed, so it ends soon
}

result<child_process> child_process::start(const std::vector<std::string>& arguments,
                                           const child_options& options) {
    if (arguments.empty()) return fail(std::make_error_code(std::errc::invalid_argument));
    spawn_actions to_do;
    const spawn_attributes attributes;
    std::optional<byte_stream> ours[3];
    descriptor theirs[3];
    const child_stream wanted[3] = {options.input, options.output, options.error};
    for (int i = 0; i < 3; ++i) {
        if (wanted[i] == child_stream::inherit) continue;
        if (wanted[i] == child_stream::null) {
            theirs[i] = descriptor(detail::above_standard(::open("/dev/null", O_RDWR | O_CLOEXEC)));
            if (!theirs[i]) return last_error();
        } else {
            auto pipe = byte_pipe::open();
            if (!pipe) return fail(pipe.error());
            byte_stream& other = i == 0 ? pipe->reader : pipe->writer;
            // Above the standard streams, so that none of the three is overwritten before it is copied.
            theirs[i] = descriptor(::fcntl(other.native_handle(), F_DUPFD_CLOEXEC, 3));
            if (!theirs[i]) return last_error();
            ours[i] = std::move(i == 0 ? pipe->writer : pipe->reader);
        }
    }
    for (int i = 0; i < 3; ++i)
        if (theirs[i]) ::posix_spawn_file_actions_adddup2(&to_do.actions, theirs[i].get(), i);
    if (!options.directory.empty())
        ::posix_spawn_file_actions_addchdir_np(&to_do.actions, options.directory.c_str());

    const std::vector<char*> argv = pointers(arguments);
    std::vector<char*> env;
    if (options.environment) env = pointers(*options.environment);
    ::pid_t pid = 0;
    const int error = ::posix_spawnp(&pid, argv[0], &to_do.actions, &attributes.attributes, argv.data(),
                                     options.environment ? env.data() : environ);
    if (error != 0) return fail(std::error_code(error, std::system_category()));
    descriptor handle(detail::above_standard(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))));
    if (!handle) {
        const auto why = last_error();
        if (errno == ESRCH) return why; // SIGCHLD is ignored, and it has ended: the number may be another's
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return why;
    }
    child_process made(pid, std::move(handle));
    made.input_ = std::move(ours[0]);
    made.output_ = std::move(ours[1]);
    made.error_ = std::move(ours[2]);
    return made;
}

result<bool> child_process::reap(int flags) noexcept {
    siginfo_t info{};
    int r;
    do r = ::waitid(of_pidfd, static_cast<id_t>(handle_.get()), &info, WEXITED | flags);
    while (r != 0 && errno == EINTR);
    if (r != 0) return last_error();
    if (info.si_pid == 0) return false;
    if (info.si_code == CLD_EXITED) status_ = exit_status{info.si_status, 0};
    else status_ = exit_status{0, info.si_status};
    return true;
}

task<result<exit_status>> child_process::wait() {
    while (!status_) {
        auto ended = co_await poll_descriptor(handle_.get(), POLLIN);
        if (!ended) co_return fail(ended.error());
        auto reaped = reap(WNOHANG);
        if (!reaped) co_return fail(reaped.error());
    }
    co_return *status_;
}

result<void> child_process::kill(int signal) noexcept {
    if (!handle_ || status_) return fail(std::make_error_code(std::errc::no_such_process));
    if (::syscall(SYS_pidfd_send_signal, handle_.get(), signal, nullptr, 0) != 0) return last_error();
    return {};
}

} // namespace levada
