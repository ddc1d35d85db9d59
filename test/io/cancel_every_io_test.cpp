// Every kernel operation there is, cancelled at every moment around its completion: what makes it complete
// happens after some turns of the loop, and the cancel after some others. Each time it has either completed
// or been cancelled, what it did not take is there for the next, and no frame and no descriptor stays.
//
// The scenes of test/core are the rest of the table: everything that needs no kernel.

#include "on_the_loop.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;
using test_support::descriptors;
using test_support::holds;
using test_support::listen_here;
namespace fs = std::filesystem;

namespace {

class scene {
public:
    virtual ~scene() = default;
    virtual task<> prepare() { co_return; }
    /// Awaits the operation once, then notes that it completed.
    virtual task<> attempt() = 0;
    /// Makes it complete.
    virtual void trigger() {}
    /// Checks that what the attempt did not take is still there, and puts all back.
    virtual task<> account() { co_return; }

    [[nodiscard]] bool completed() const { return std::exchange(completed_, false); }

protected:
    void complete() { completed_ = true; }

private:
    mutable bool completed_ = false;
};

/// A connection within this process.
class connection : public scene {
public:
    task<> prepare() override {
        if (near_) co_return;
        auto w = co_await test_support::connected();
        near_.emplace(std::move(w.near));
        far_.emplace(std::move(w.far));
    }

protected:
    std::optional<tcp_stream> near_;
    std::optional<tcp_stream> far_;
};

class read_scene : public connection {
public:
    task<> attempt() override {
        std::array<char, 16> buffer{};
        auto n = co_await near_->read(buffer);
        REQUIRE(n);
        got_.append(buffer.data(), *n);
        complete();
    }
    void trigger() override {
        sent_ += letter_;
        REQUIRE(::send(far_->native_handle(), &letter_, 1, MSG_NOSIGNAL) == 1);
        letter_ = letter_ == 'z' ? 'a' : static_cast<char>(letter_ + 1);
    }
    task<> account() override {
        while (got_.size() < sent_.size()) {
            std::array<char, 16> buffer{};
            auto n = co_await near_->read(buffer);
            REQUIRE(n);
            got_.append(buffer.data(), *n);
        }
        CHECK(got_ == sent_);
    }

protected:
    std::string sent_, got_;

private:
    char letter_ = 'a';
};

class receive_scene : public read_scene {
public:
    task<> attempt() override { return take(); }
    task<> account() override {
        while (got_.size() < sent_.size()) co_await take();
        CHECK(got_ == sent_);
        static_cast<void>(completed());
    }

private:
    task<> take() {
        auto piece = co_await near_->receive();
        REQUIRE(piece);
        got_ += piece->text();
        complete();
    }
};

/// Writes more than the socket takes, so that it waits for the reader.
class write_scene : public connection {
public:
    task<> prepare() override {
        near_.reset(); // a write that was cut short leaves its stream broken
        far_.reset();
        co_await connection::prepare();
        const int small = 4096;
        ::setsockopt(near_->native_handle(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
        ::setsockopt(far_->native_handle(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    task<> attempt() override {
        auto done = co_await near_->write_all(std::as_bytes(std::span(bytes_)));
        // What was written in part is told, and leaves the stream broken.
        if (!done) CHECK(done.error() == std::errc::operation_canceled);
        whole_ = done.has_value();
        complete();
    }
    void trigger() override { reader_.emplace(spawn(read_all, std::ref(*far_), std::ref(count_))); }
    task<> account() override {
        if (!reader_) trigger();
        near_.reset(); // the end of what there is
        static_cast<void>(co_await reader_->join());
        reader_.reset();
        if (whole_) CHECK(count_ == bytes_.size());
        else CHECK(count_ <= bytes_.size());
        whole_ = false;
        count_ = 0;
    }

private:
    static task<> read_all(tcp_stream& from, std::size_t& count) {
        std::vector<char> buffer(65536);
        for (;;) {
            auto n = co_await from.read(buffer);
            if (!n || *n == 0) co_return;
            count += *n;
        }
    }
    const std::vector<char> bytes_ = std::vector<char>(1 << 20, 'x');
    std::size_t count_ = 0;
    bool whole_ = false;
    std::optional<join_handle<>> reader_;
};

/// What connects is accepted once, now or by the next accept.
class accept_scene : public scene {
public:
    task<> attempt() override {
        auto s = co_await listener_.accept();
        REQUIRE(s);
        ++accepted_;
        complete();
    }
    void trigger() override {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const socket_address to = listener_.local_address();
        REQUIRE(::connect(fd, to.data(), to.size()) == 0);
        ::close(fd);
        ++connected_;
    }
    task<> account() override {
        while (accepted_ < connected_) {
            auto s = co_await listener_.accept();
            REQUIRE(s);
            ++accepted_;
        }
        auto none = co_await with_timeout(0s, listener_.accept());
        CHECK(none.error() == errc::timed_out);
    }

private:
    tcp_listener listener_ = listen_here();
    int accepted_ = 0;
    int connected_ = 0;
};

/// A connect to a listener with room: it completes by itself.
class connect_scene : public scene {
public:
    task<> attempt() override {
        auto s = co_await tcp_stream::connect(listener_.local_address().to_string());
        REQUIRE(s);
        complete();
    }
    task<> account() override { // those that got as far as the listener
        for (;;) {
            auto s = co_await with_timeout(0s, listener_.accept());
            if (!s) break;
        }
    }

private:
    tcp_listener listener_ = listen_here();
};

/// A datagram is received once, now or by the next receive.
class datagram_scene : public scene {
public:
    task<> attempt() override {
        std::array<char, 8> buffer{};
        auto d = co_await to_.recv_from(buffer);
        REQUIRE(d);
        got_.append(buffer.data(), d->size);
        complete();
    }
    void trigger() override {
        const socket_address to = *to_.local_address();
        REQUIRE(::sendto(from_.native_handle(), &letter_, 1, 0, to.data(), to.size()) == 1);
        sent_ += letter_;
        letter_ = letter_ == 'z' ? 'a' : static_cast<char>(letter_ + 1);
    }
    task<> account() override {
        while (got_.size() < sent_.size()) {
            std::array<char, 8> buffer{};
            auto d = co_await to_.recv_from(buffer);
            REQUIRE(d);
            got_.append(buffer.data(), d->size);
        }
        CHECK(got_ == sent_);
    }

private:
    static udp_socket bound() {
        auto s = udp_socket::bind("127.0.0.1:0");
        REQUIRE(s);
        return std::move(*s);
    }
    udp_socket from_ = bound(), to_ = bound();
    std::string sent_, got_;
    char letter_ = 'a';
};

/// Descriptors over a Unix socket: those that came are not left open by anybody.
class descriptors_scene : public scene {
public:
    task<> attempt() override {
        std::array<char, 8> buffer{};
        auto got = co_await ends_.second.read_descriptors(buffer);
        REQUIRE(got);
        CHECK(got->descriptors.size() == got->size);
        received_ += got->size;
        complete();
    }
    void trigger() override {
        task_ = spawn([this]() -> task<> {
            const std::array<int, 1> given{0};
            auto n = co_await ends_.first.write_descriptors("x", given);
            CHECK(holds(n, std::size_t(1)));
        });
        ++sent_;
    }
    task<> account() override {
        static_cast<void>(co_await task_.join());
        while (received_ < sent_) {
            std::array<char, 8> buffer{};
            auto got = co_await ends_.second.read_descriptors(buffer);
            REQUIRE(got);
            received_ += got->size;
        }
    }

private:
    static std::pair<unix_stream, unix_stream> pair() {
        auto p = unix_stream::pair();
        REQUIRE(p);
        return std::move(*p);
    }
    std::pair<unix_stream, unix_stream> ends_ = pair();
    join_handle<> task_;
    std::size_t sent_ = 0, received_ = 0;
};

class poll_scene : public scene {
public:
    poll_scene() { REQUIRE(::pipe2(ends_, O_CLOEXEC | O_NONBLOCK) == 0); }
    ~poll_scene() override {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }
    task<> attempt() override {
        auto got = co_await poll_descriptor(ends_[0], POLLIN);
        CHECK(holds(got, short(POLLIN)));
        complete();
    }
    void trigger() override { REQUIRE(::write(ends_[1], "x", 1) == 1); }
    task<> account() override { // it takes nothing
        char c;
        while (::read(ends_[0], &c, 1) == 1) {
        }
        co_return;
    }

private:
    int ends_[2];
};

class signal_scene : public scene {
public:
    task<> attempt() override {
        auto number = co_await signals_.recv();
        CHECK(holds(number, SIGUSR2));
        ++got_;
        complete();
    }
    void trigger() override {
        ::raise(SIGUSR2);
        ++raised_;
    }
    task<> account() override {
        while (got_ < raised_) {
            auto number = co_await signals_.recv();
            CHECK(holds(number, SIGUSR2));
            ++got_;
        }
        CHECK(signals_.try_recv().error() == errc::empty);
    }

private:
    recv_channel<int> signals_ = signal_channel({SIGUSR2});
    int got_ = 0;
    int raised_ = 0;
};

class file_scene : public scene {
public:
    explicit file_scene(bool writes) : writes_(writes), path_(fs::temp_directory_path() / name()) {}
    ~file_scene() override { fs::remove(path_); }
    task<> prepare() override {
        if (!file_) {
            auto f = co_await file::open(path_, file_mode::read | file_mode::write | file_mode::create);
            REQUIRE(f);
            file_.emplace(std::move(*f));
        }
    }
    task<> attempt() override {
        if (writes_) {
            auto n = co_await file_->write_at(0, std::as_bytes(std::span(text_)));
            REQUIRE(n);
            auto synced = co_await file_->sync();
            REQUIRE(synced);
        } else {
            std::array<std::byte, 16> buffer{};
            auto n = co_await file_->read_at(0, buffer);
            REQUIRE(n);
        }
        complete();
    }

private:
    static std::string name() { return "levada_cancel_" + std::to_string(::getpid()); }
    const bool writes_;
    const std::string text_ = "some text";
    const fs::path path_;
    std::optional<file> file_;
};

class open_scene : public scene {
public:
    task<> attempt() override {
        auto f = co_await file::open("/dev/null", file_mode::read);
        REQUIRE(f);
        complete();
    }
};

/// A call that runs is waited for, and then completed.
class offload_scene : public scene {
public:
    task<> attempt() override {
        co_await offload([this] { ++calls_; });
        ++completions_;
        complete();
    }
    task<> account() override {
        CHECK(calls_ == completions_);
        co_return;
    }

private:
    std::atomic<int> calls_ = 0;
    int completions_ = 0;
};

struct row {
    const char* name;
    std::unique_ptr<scene> (*make)();
};

constexpr row rows[] = {
    {"tcp_stream::read", [] { return std::unique_ptr<scene>(new read_scene); }},
    {"tcp_stream::receive", [] { return std::unique_ptr<scene>(new receive_scene); }},
    {"tcp_stream::write_all", [] { return std::unique_ptr<scene>(new write_scene); }},
    {"tcp_listener::accept", [] { return std::unique_ptr<scene>(new accept_scene); }},
    {"tcp_stream::connect", [] { return std::unique_ptr<scene>(new connect_scene); }},
    {"udp_socket::recv_from", [] { return std::unique_ptr<scene>(new datagram_scene); }},
    {"unix_stream::read_descriptors", [] { return std::unique_ptr<scene>(new descriptors_scene); }},
    {"poll_descriptor", [] { return std::unique_ptr<scene>(new poll_scene); }},
    {"signal_channel", [] { return std::unique_ptr<scene>(new signal_scene); }},
    {"file::read_at", [] { return std::unique_ptr<scene>(new file_scene(false)); }},
    {"file::write_at, sync", [] { return std::unique_ptr<scene>(new file_scene(true)); }},
    {"file::open", [] { return std::unique_ptr<scene>(new open_scene); }},
    {"offload", [] { return std::unique_ptr<scene>(new offload_scene); }},
};

/// Turns of the loop: each looks at the ring.
task<> turns(int n) {
    for (int i = 0; i < n; ++i) co_await this_task::yield();
}

task<> try_all(scene& s, int most, int& completed, int& cancelled) {
    for (int trigger_at = 0; trigger_at <= most; ++trigger_at) {
        for (int cancel_at = 0; cancel_at <= most; ++cancel_at) {
            INFO("triggered after " << trigger_at << " turns, cancelled after " << cancel_at);
            co_await s.prepare();
            auto h = spawn(&scene::attempt, &s);
            const int first = std::min(trigger_at, cancel_at);
            co_await turns(first);
            // At the same moment the cancel goes first half of the time.
            const bool cancel_first =
                cancel_at < trigger_at || (cancel_at == trigger_at && cancel_at % 2 == 0);
            if (cancel_first) h.cancel();
            else s.trigger();
            co_await turns(std::max(trigger_at, cancel_at) - first);
            if (cancel_first) s.trigger();
            else h.cancel();
            auto r = co_await h.join();
            const bool done = s.completed();
            CHECK(done == r.has_value()); // one of the two
            if (!r) CHECK(r.error() == errc::cancelled);
            ++(done ? completed : cancelled);
            co_await s.account();
        }
    }
}

} // namespace

TEST_CASE("every kernel operation that is cancelled at any moment either completes or is cancelled, and "
          "loses nothing") {
    for (const row& r : rows) {
        INFO(r.name);
        const std::size_t frames = frame_pool::live();
        int completed = 0;
        int cancelled = 0;
        const int code = levada::run([&]() -> task<> {
            auto s = r.make();
            co_await s->prepare();
            const long open = descriptors();
            co_await try_all(*s, 5, completed, cancelled);
            CHECK(descriptors() <= open);
        });
        CHECK(code == 0);
        CHECK(completed + cancelled == 36);
        CHECK(cancelled > 0); // a cancel before it begins, at least
        CHECK(frame_pool::live() == frames);
    }
}
