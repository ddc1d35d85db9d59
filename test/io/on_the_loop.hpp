#pragma once

// What the tests of I/O share: a loop with a ring that has to leave no descriptor and no frame behind.

#include <support.hpp>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <filesystem>
#include <iterator>
#include <string_view>
#include <utility>

#include <levada/io/tcp.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/this_task.hpp>

namespace test_support {

inline long descriptors() {
    namespace fs = std::filesystem;
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
}

template <class F>
void on_the_loop(const F& f) {
    const std::size_t frames = levada::frame_pool::live();
    const long open = descriptors();
    CHECK(levada::run(f) == 0);
    CHECK(levada::frame_pool::live() == frames);
    CHECK(descriptors() == open);
}

inline levada::tcp_listener listen_here(const levada::tcp_listen_options& options = {}) {
    auto l = levada::tcp_listener::bind("127.0.0.1:0", options);
    REQUIRE(l);
    return std::move(*l);
}

/// A connection within this process.
class wires {
public:
    wires(levada::tcp_stream a, levada::tcp_stream b) : near(std::move(a)), far(std::move(b)) {}
    levada::tcp_stream near;
    levada::tcp_stream far;
};

inline levada::task<wires> connected() {
    levada::tcp_listener l = listen_here();
    auto h = levada::spawn(levada::tcp_stream::connect, l.local_address().to_string());
    auto far = co_await l.accept();
    auto near = co_await h.join();
    REQUIRE(near);
    REQUIRE(far);
    co_return wires(std::move(*near), std::move(*far));
}

/// Sends at once, behind the library's back.
template <class Stream>
void send_now(const Stream& s, std::string_view bytes) {
    if (::send(s.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
        static_cast<::ssize_t>(bytes.size()))
        std::abort();
}

template <class Stream>
bool has_room(const Stream& s) {
    ::pollfd room{s.native_handle(), POLLOUT, 0};
    return ::poll(&room, 1, 0) != 0;
}
/// Until there is no room for more: the peer does not read.
template <class Stream>
levada::task<> until_full(const Stream& s) {
    while (has_room(s)) co_await levada::this_task::yield();
}

/// Whether bytes have come that nobody has read.
template <class Stream>
bool has_bytes(const Stream& s) {
    int n = 0;
    REQUIRE(::ioctl(s.native_handle(), FIONREAD, &n) == 0);
    return n != 0;
}

} // namespace test_support

#define LEVADA_INTERNAL_IO_TASK(BODY, NAME)                                                                  \
    static ::levada::task<> BODY();                                                                          \
    TEST_CASE(NAME ", on four loops", "[.four_loops]") { ::test_support::run_on_each_of_four_loops(BODY); }  \
    TEST_CASE(NAME) { ::test_support::on_the_loop(BODY); }                                                   \
    static ::levada::task<> BODY()

/// As TEST_TASK, on a loop that has a ring.
#define IO_TASK(NAME) LEVADA_INTERNAL_IO_TASK(INTERNAL_CATCH_UNIQUE_NAME(levada_io_task_), NAME)
