// levada inside Boost.Asio: an io_context drives a loop of ours, and its coroutines await our tasks.

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include <boost/asio.hpp>

#include <levada/levada.hpp>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

/// Lets an io_context, which runs on one thread, drive a loop: whenever the loop's descriptor is readable, it
/// has something to do.
class driver {
public:
    driver(asio::io_context& io, levada::event_loop& loop) : loop_(loop), descriptor_(io, loop.fd()) {
        wait();
    }
    ~driver() { (void)descriptor_.release(); } // it is the loop's
    driver(const driver&) = delete;
    driver& operator=(const driver&) = delete;
    /// Lets the io_context end, when it has nothing else to do.
    void stop() { descriptor_.cancel(); }
    levada::event_loop& loop() const { return loop_; }

private:
    void wait() {
        descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                               [this](boost::system::error_code ec) {
                                   if (ec) return;
                                   loop_.poll();
                                   wait();
                               });
    }
    levada::event_loop& loop_;
    asio::posix::stream_descriptor descriptor_;
};

/// `co_await on_levada(loop, f, args..., asio::use_awaitable)`, or any other completion token: runs
/// `f(args...)`, a task that gives a T and throws nothing, on the loop, and completes with the T.
template <class T, class F, class Token>
auto on_levada(levada::event_loop& loop, F f, Token&& token) {
    return asio::async_initiate<Token, void(T)>(
        [&loop](auto handler, F run) {
            auto work = asio::make_work_guard(asio::get_associated_executor(handler));
            loop.go([run = std::move(run), handler = std::move(handler),
                     work = std::move(work)]() mutable -> levada::task<> {
                T value = co_await run();
                asio::post(work.get_executor(),
                           [handler = std::move(handler), value = std::move(value)]() mutable {
                               std::move(handler)(std::move(value));
                           });
            });
        },
        token, std::move(f));
}

levada::task<> shout(levada::recv_channel<std::string> in, levada::send_channel<std::string> out) {
    while (auto word = co_await in.recv()) {
        co_await levada::sleep_for(1ms);
        co_await levada::or_throw(out.send(*word + "!"));
    }
    out.close();
}

/// An Asio coroutine: a timer of Asio's, and channels of ours.
asio::awaitable<void> talk(driver& d, levada::channel<std::string> words,
                           levada::channel<std::string> shouts) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (const char* word : {"hello", "asio"}) {
        timer.expires_after(1ms);
        co_await timer.async_wait(asio::use_awaitable);
        // try_send and try_recv never wait, and may be called from anywhere; what waits goes into a task.
        auto ask = [words, shouts, word = std::string(word)]() mutable -> levada::task<std::string> {
            co_await levada::or_throw(words.send(word));
            co_return co_await levada::or_throw(shouts.recv());
        };
        const std::string answer =
            co_await on_levada<std::string>(d.loop(), std::move(ask), asio::use_awaitable);
        std::printf("%s\n", answer.c_str());
    }
    words.close();
    d.stop();
}

} // namespace

int main() try {
    asio::io_context io(1);
    levada::event_loop loop;
    driver d(io, loop);
    levada::channel<std::string> words, shouts;
    loop.go(shout, words, shouts);
    asio::co_spawn(io, talk(d, words, shouts), [](const std::exception_ptr& thrown) {
        if (thrown) std::rethrow_exception(thrown);
    });
    io.run();
} catch (const std::exception& e) {
    std::fprintf(stderr, "in_asio: %s\n", e.what());
    return 1;
}
