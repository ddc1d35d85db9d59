// A program that was started without its standard streams: no descriptor that the library makes is one of
// them.

#include "scenario.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

namespace {

/// Whether the three are closed still.
bool still_closed() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) return false;
    for (auto* const open : {standard_input, standard_output, standard_error})
        if (auto made = open(); made || made.error() != std::errc::bad_file_descriptor) return false;
    return true;
}

/// Closes the three; what scenarios say goes nowhere then, and their exit code tells.
void close_standard_streams() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(fd);
}

task<> connect_and_accept(bool ahead) {
    tcp_listen_options options;
    options.accept_ahead = ahead;
    auto listener = tcp_listener::bind("127.0.0.1:0", options);
    EXPECT(listener);
    EXPECT(still_closed());
    auto client = co_await tcp_stream::connect(listener->local_address().to_string());
    EXPECT(client);
    auto server = co_await listener->accept();
    EXPECT(server);
    EXPECT(still_closed());
    auto sent = co_await client->write_all("hello");
    EXPECT(sent);
    auto got = co_await server->receive();
    EXPECT(got && got->text() == "hello");
}

task<> sockets() {
    co_await connect_and_accept(true);
    co_await connect_and_accept(false);
    auto udp = udp_socket::bind("127.0.0.1:0");
    EXPECT(udp);
    EXPECT(still_closed());
    auto datagrams = unix_datagram::pair();
    EXPECT(datagrams);
    auto ends = unix_stream::pair();
    EXPECT(ends);
    auto listener = unix_listener::bind("@levada-process-test-" + std::to_string(::getpid()));
    EXPECT(listener);
    auto client = co_await unix_stream::connect("@levada-process-test-" + std::to_string(::getpid()));
    EXPECT(client);
    auto server = co_await listener->accept();
    EXPECT(server);
    EXPECT(still_closed());

    std::array<int, 2> given{client->native_handle(), server->native_handle()};
    auto passed = co_await ends->first.write_descriptors("x", given);
    EXPECT(passed);
    std::array<char, 4> byte;
    auto received = co_await ends->second.read_descriptors(byte);
    EXPECT(received && received->descriptors.size() == 2);
    EXPECT(still_closed());
}

task<> files_and_pipes() {
    auto pipe = byte_pipe::open();
    EXPECT(pipe);
    EXPECT(still_closed());
    const std::string path = "process-test-" + std::to_string(::getpid());
    auto f = co_await file::open(path, file_mode::write | file_mode::create);
    EXPECT(f);
    EXPECT(still_closed());
    auto in_time = co_await with_timeout(1h, file::open(path, file_mode::read));
    EXPECT(in_time);
    EXPECT(still_closed());
    auto watch = file_watch::open();
    EXPECT(watch && watch->add(path));
    ::unlink(path.c_str());
    auto signals = signal_channel({SIGUSR2});
    EXPECT(still_closed());
    ::raise(SIGUSR2);
    auto told = co_await signals.recv();
    EXPECT(told && *told == SIGUSR2);
}

task<> children() {
    child_options options;
    options.input = child_stream::null;
    options.output = child_stream::pipe;
    options.error = child_stream::null;
    auto child = child_process::start({"/bin/sh", "-c", "read nothing; echo hello"}, options);
    EXPECT(child);
    EXPECT(still_closed());
    std::array<char, 64> text;
    auto n = co_await child->output()->read(text);
    EXPECT(n && std::string_view(text.data(), *n) == "hello\n");
    auto ended = co_await child->wait();
    EXPECT(ended && ended->success());
}

task<> everything() {
    EXPECT(still_closed()); // the loop is there
    co_await sockets();
    co_await files_and_pipes();
    co_await children();
    co_await offload([] {});
    EXPECT(still_closed());
}

} // namespace

SCENARIO("no descriptor of the library's is ever a standard stream of the program") {
    ::unsetenv("LEVADA_LOOPS");
    close_standard_streams();
    EXPECT(still_closed());
    EXPECT(runtime({.loops = 1}).run(everything) == 0);
    EXPECT(runtime({.loops = 2, .eager = true}).run(everything) == 0);
    event_loop polled;
    EXPECT(polled.fd() > STDERR_FILENO);
    EXPECT(still_closed());
}

SCENARIO("a descriptor that cannot be moved off the standard streams is an error, and closed") {
    close_standard_streams();
    EXPECT(run([]() -> task<> {
               auto first = byte_pipe::open();
               EXPECT(first);
               rlimit files{};
               EXPECT(::getrlimit(RLIMIT_NOFILE, &files) == 0);
               const rlimit before = files;
               // The next free numbers are 0 and 1, and no more may be had above them.
               const int next = ::dup(first->reader.native_handle());
               EXPECT(next == 0);
               const int above = ::fcntl(next, F_DUPFD_CLOEXEC, 3);
               ::close(next);
               ::close(above);
               files.rlim_cur = static_cast<rlim_t>(above);
               EXPECT(::setrlimit(RLIMIT_NOFILE, &files) == 0);
               auto second = byte_pipe::open();
               EXPECT(!second && second.error() == std::errc::too_many_files_open);
               auto missing = co_await file::open("/dev/null", file_mode::read);
               EXPECT(!missing && missing.error() == std::errc::too_many_files_open);
               EXPECT(::setrlimit(RLIMIT_NOFILE, &before) == 0);
               EXPECT(still_closed());
           }) == 0);
}
