#include "support.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::holds;

namespace {

/// A stream that gives what it was told to, piece by piece, and then waits, ends or fails.
class script {
public:
    explicit script(std::vector<std::string> pieces, bool waits = false)
        : pieces_(std::move(pieces)), waits_(waits) {}
    task<result<std::size_t>> read(std::span<char> to) {
        ++reads;
        co_await this_task::yield();
        if (next_ == pieces_.size()) {
            if (waits_) co_await sleep_for(1h);
            co_return std::size_t(0);
        }
        std::string& piece = pieces_[next_];
        if (piece == "!") {
            ++next_;
            co_return fail(std::make_error_code(std::errc::connection_reset));
        }
        const std::size_t n = std::min(to.size(), piece.size());
        std::memcpy(to.data(), piece.data(), n);
        piece.erase(0, n);
        if (piece.empty()) ++next_;
        co_return n;
    }
    void add(std::string piece) { pieces_.push_back(std::move(piece)); }
    int reads = 0;

private:
    std::vector<std::string> pieces_;
    std::size_t next_ = 0;
    bool waits_;
};

} // namespace

TEST_TASK("lines come one by one, however the stream is cut, and the last may have no end") {
    script s({"on", "e\ntw", "o\r", "\n", "\n", "last"});
    buffered in(s, 2);
    std::string all;
    while (auto line = co_await in.read_line(10)) all += '[' + *line + ']';
    CHECK(all == "[one][two][][last]");
    auto end = co_await in.read_line(10);
    CHECK(end.error() == errc::closed);
}

TEST_TASK("read_until gives the mark too, and what follows stays for the next read") {
    buffered in(script({"a=1;b=2;c"}));
    auto r1 = co_await in.read_until(';', 100);
    CHECK(holds(r1, std::string("a=1;")));
    CHECK(in.peek() == "b=2;c");
    auto r2 = co_await in.read_exactly(3);
    CHECK(holds(r2, std::string("b=2")));
    auto r3 = co_await in.read_until(';', 1);
    CHECK(holds(r3, std::string(";")));
    auto none = co_await in.read_until(';', 100);
    CHECK(none.error() == errc::closed);
    CHECK(in.peek() == "c"); // stays
    std::array<char, 8> rest{};
    auto r4 = co_await in.read(rest);
    CHECK(holds(r4, std::size_t(1)));
    auto r5 = co_await in.read(rest);
    CHECK(holds(r5, std::size_t(0)));
}

TEST_TASK("a line that is too long is refused, is bounded in memory, and stays") {
    std::vector<std::string> pieces(1000, std::string(100, 'x'));
    script s(std::move(pieces));
    buffered in(s, 16);
    for (int i = 0; i < 3; ++i) {
        auto line = co_await in.read_line(150);
        CHECK(line.error() == std::errc::message_size);
    }
    CHECK(s.reads < 10); // what a hostile peer sends is not read
    CHECK(in.peek().size() < 500);
    auto r6 = co_await in.read_exactly(150);
    CHECK(holds(r6, std::string(150, 'x')));
    // The mark counts among the bytes.
    buffered exact(script({"12345\n12345\n"}));
    auto r7 = co_await exact.read_line(6);
    CHECK(holds(r7, std::string("12345")));
    auto longer = co_await exact.read_line(5);
    CHECK(longer.error() == std::errc::message_size);
}

TEST_TASK("a read that fails, or ends too early, loses nothing") {
    script s({"abc", "!", "def"});
    buffered in(s);
    auto broken = co_await in.read_exactly(6);
    CHECK(broken.error() == std::errc::connection_reset);
    CHECK(in.peek() == "abc");
    auto r8 = co_await in.read_exactly(6);
    CHECK(holds(r8, std::string("abcdef")));
    auto end = co_await in.read_exactly(1);
    CHECK(end.error() == errc::closed);
    auto r9 = co_await in.read_exactly(0);
    CHECK(holds(r9, std::string()));
}

TEST_TASK("a read that is cancelled keeps what has come for the next") {
    script s({"half a "}, true);
    buffered in(s);
    auto line = co_await with_timeout(1ms, [&] { return in.read_line(100); });
    CHECK(line.error() == errc::timed_out);
    CHECK(in.peek() == "half a ");
    s.add("line\n");
    auto r10 = co_await in.read_line(100);
    CHECK(holds(r10, std::string("half a line")));
    in.shrink();
    CHECK(in.peek().empty());
}

TEST_CASE("a buffered TCP stream reads requests of several lines and bodies of known size") {
    CHECK(levada::run([]() -> task<> {
              auto l = tcp_listener::bind("127.0.0.1:0");
              REQUIRE(l);
              auto h = spawn(tcp_stream::connect, l->local_address().to_string());
              auto far = co_await l->accept();
              auto near = co_await h.join();
              REQUIRE((far && near));
              buffered in(std::move(*near));
              auto sent =
                  co_await far->write_all("POST /\r\n", "length: 5\r\n", "\r\n", "hello", "GET /\r\n");
              CHECK(holds(sent, std::size_t(8 + 11 + 2 + 5 + 7)));
              auto r11 = co_await in.read_line(100);
              CHECK(holds(r11, std::string("POST /")));
              auto r12 = co_await in.read_line(100);
              CHECK(holds(r12, std::string("length: 5")));
              auto r13 = co_await in.read_line(100);
              CHECK(holds(r13, std::string()));
              auto r14 = co_await in.read_exactly(5);
              CHECK(holds(r14, std::string("hello")));
              auto r15 = co_await in.read_line(100);
              CHECK(holds(r15, std::string("GET /")));
              auto r16 = co_await in.stream().write_all("ok");
              CHECK(r16);
          }) == 0);
}

TEST_CASE("a write of many pieces arrives whole and in order, through a socket that takes little at once") {
    CHECK(levada::run([]() -> task<> {
              auto p = unix_stream::pair();
              REQUIRE(p);
              std::vector<std::string> texts;
              std::string expected;
              for (int i = 0; i < 3000; ++i) {
                  texts.push_back(
                      std::string(static_cast<std::size_t>(i % 7 * 50), static_cast<char>('a' + i % 26)));
                  expected += texts.back();
              }
              std::string got;
              co_await with_group([&](task_group& g) -> task<> {
                  g.go([&]() -> task<> {
                      std::vector<std::span<const std::byte>> pieces;
                      for (const std::string& t : texts) pieces.push_back(std::as_bytes(std::span(t)));
                      auto n =
                          co_await p->first.write_all(std::span<const std::span<const std::byte>>(pieces));
                      CHECK(holds(n, expected.size()));
                      auto none = co_await p->first.write_all(std::string_view(), std::string());
                      CHECK(holds(none, std::size_t(0)));
                      auto r17 = co_await p->first.shutdown_write();
                      CHECK(r17);
                  });
                  std::array<char, 5000> buffer;
                  for (;;) {
                      auto n = co_await p->second.read(buffer);
                      REQUIRE(n);
                      if (*n == 0) break;
                      got.append(buffer.data(), *n);
                  }
              });
              CHECK(got == expected);
          }) == 0);
}
