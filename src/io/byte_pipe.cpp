#include <levada/io/byte_pipe.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "../loop/above_standard.hpp"

namespace levada {
namespace {

void ignore_broken_pipes() noexcept {
    struct sigaction now{};
    if (::sigaction(SIGPIPE, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
        now.sa_handler == SIG_DFL)
        std::signal(SIGPIPE, SIG_IGN);
}

result<byte_stream> standard(int number) {
    descriptor fd(::fcntl(number, F_DUPFD_CLOEXEC, 3));
    if (!fd) return detail::last_error();
    return byte_stream(std::move(fd), false);
}

} // namespace

result<byte_pipe> byte_pipe::open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0 || !detail::both_above_standard(ends)) return detail::last_error();
    ignore_broken_pipes();
    descriptor reader(ends[0]), writer(ends[1]);
    return byte_pipe{byte_stream(std::move(reader), false), byte_stream(std::move(writer), false)};
}

result<byte_stream> standard_input() { return standard(STDIN_FILENO); }
result<byte_stream> standard_output() { return standard(STDOUT_FILENO); }
result<byte_stream> standard_error() { return standard(STDERR_FILENO); }

} // namespace levada
