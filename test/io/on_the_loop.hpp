#pragma once

// What the tests of I/O share: a loop with a ring that has to leave no descriptor and no frame behind.

#include <support.hpp>

#include <sys/socket.h>

#include <filesystem>
#include <iterator>
#include <string_view>

#include <levada/io/tcp.hpp>

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

/// Sends at once, behind the library's back.
template <class Stream>
void send_now(const Stream& s, std::string_view bytes) {
    if (::send(s.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
        static_cast<::ssize_t>(bytes.size()))
        std::abort();
}

} // namespace test_support

#define LEVADA_INTERNAL_IO_TASK(BODY, NAME)                                                                  \
    static ::levada::task<> BODY();                                                                          \
    TEST_CASE(NAME ", on four loops", "[.four_loops]") { ::test_support::run_on_each_of_four_loops(BODY); }  \
    TEST_CASE(NAME) { ::test_support::on_the_loop(BODY); }                                                   \
    static ::levada::task<> BODY()

/// As TEST_TASK, on a loop that has a ring.
#define IO_TASK(NAME) LEVADA_INTERNAL_IO_TASK(INTERNAL_CATCH_UNIQUE_NAME(levada_io_task_), NAME)
