#include "pipe_ends.hpp"

#include <io/on_the_loop.hpp>

#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::holds;

namespace {

task<result<int>> read_one(const pipe_ends& p, char& to) {
    co_return co_await event_loop::current()->submit(
        [&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, p.fd[0], &to, 1, 0); });
}

} // namespace

TEST_CASE("an operation of the user's own gives the kernel's answer, and its error as the system's code") {
    CHECK(levada::run([]() -> task<> {
              event_loop& loop = *event_loop::current();
              auto nothing = co_await loop.submit(io_uring_prep_nop);
              CHECK(holds(nothing, 0));
              auto opened = co_await loop.submit(
                  [](io_uring_sqe* sqe) { io_uring_prep_openat(sqe, AT_FDCWD, "/dev/zero", O_RDONLY, 0); });
              REQUIRE(opened);
              std::array<char, 8> buffer;
              buffer.fill('x');
              auto n = co_await loop.submit(
                  [&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, *opened, buffer.data(), 8, 0); });
              CHECK(holds(n, 8));
              CHECK(buffer[7] == '\0');
              auto closed =
                  co_await loop.submit([&](io_uring_sqe* sqe) { io_uring_prep_close(sqe, *opened); });
              CHECK(holds(closed, 0));
              auto wrong = co_await loop.submit(
                  [&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, -1, buffer.data(), 8, 0); });
              REQUIRE(!wrong);
              CHECK(wrong.error() == std::errc::bad_file_descriptor);
          }) == 0);
}

TEST_CASE("an operation of the user's own that is cancelled at any moment is withdrawn or completes, and "
          "loses nothing") {
    pipe_ends p;
    CHECK(levada::run([&]() -> task<> {
              char expected = 'a';
              for (int i = 0; i < 400; ++i) {
                  char got = 0;
                  auto h = spawn(read_one, std::cref(p), std::ref(got));
                  for (int k = 0; k < i % 4; ++k) co_await this_task::yield();
                  const bool write_first = i % 3 == 0;
                  if (write_first) REQUIRE(::write(p.fd[1], &expected, 1) == 1);
                  for (int k = 0; k < i % 3; ++k) co_await this_task::yield();
                  h.cancel();
                  if (!write_first) REQUIRE(::write(p.fd[1], &expected, 1) == 1);
                  auto r = co_await h.join();
                  if (!r) {
                      CHECK(r.error() == errc::cancelled);
                      REQUIRE(::read(p.fd[0], &got, 1) == 1); // it is still there
                  }
                  CHECK(got == expected);
                  expected = expected == 'z' ? 'a' : static_cast<char>(expected + 1);
              }
          }) == 0);
}

TEST_CASE("an operation of the user's own is bounded by with_timeout") {
    pipe_ends p;
    CHECK(levada::run([&]() -> task<> {
              char got = 0;
              auto r = co_await with_timeout(2ms, event_loop::current()->submit([&](io_uring_sqe* sqe) {
                  io_uring_prep_read(sqe, p.fd[0], &got, 1, 0);
              }));
              CHECK(r.error() == errc::timed_out);
          }) == 0);
}

TEST_CASE("more operations of the user's own than the ring has room for are all carried out") {
    CHECK(levada::run([]() -> task<> {
              int done = 0;
              co_await with_group([&](task_group& g) -> task<> {
                  for (int i = 0; i < 2000; ++i)
                      g.go([&]() -> task<> {
                          auto r = co_await event_loop::current()->submit(io_uring_prep_nop);
                          if (r) ++done;
                      });
                  co_return;
              });
              CHECK(done == 2000);
          }) == 0);
}

TEST_CASE("an entry that is linked, or has no completion, terminates with a message") {
    const auto linked = test_support::run_to_death([] {
        static_cast<void>(levada::run([]() -> task<> {
            static_cast<void>(co_await event_loop::current()->submit([](io_uring_sqe* sqe) {
                io_uring_prep_nop(sqe);
                sqe->flags |= IOSQE_IO_LINK;
            }));
        }));
    });
    CHECK(linked.aborted);
    CHECK(linked.says("linked to the next one"));
    const auto silent = test_support::run_to_death([] {
        static_cast<void>(levada::run([]() -> task<> {
            static_cast<void>(co_await event_loop::current()->submit([](io_uring_sqe* sqe) {
                io_uring_prep_nop(sqe);
                sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
            }));
        }));
    });
    CHECK(silent.aborted);
    CHECK(silent.says("asks for no completion"));
}

TEST_CASE("an operation of the user's own on another loop than the task's terminates with a message") {
    const auto d = test_support::run_to_death([] {
        event_loop other;
        static_cast<void>(
            levada::run([&]() -> task<> { static_cast<void>(co_await other.submit(io_uring_prep_nop)); }));
    });
    CHECK(d.aborted);
    CHECK(d.says("a task of another loop"));
}

TEST_CASE(
    "a send without a copy is over when the kernel has let go of its buffer, with the send's own answer") {
    CHECK(levada::run([]() -> task<> {
              auto w = co_await test_support::connected();
              std::string bytes(100'000, 'z');
              auto reader = spawn([&]() -> task<std::size_t> {
                  std::size_t n = 0;
                  while (n < bytes.size()) {
                      auto piece = co_await w.far.receive();
                      if (!piece) break;
                      n += piece->size();
                  }
                  co_return n;
              });
              auto sent = co_await event_loop::current()->submit([&](io_uring_sqe* sqe) {
                  io_uring_prep_send_zc(sqe, w.near.native_handle(), bytes.data(), bytes.size(), MSG_WAITALL,
                                        0);
              });
              CHECK(holds(sent, 100'000));
              auto n = co_await reader.join();
              CHECK(holds(n, 100'000u));
          }) == 0);
}
