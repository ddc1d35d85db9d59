#pragma once

// Asio's channels and coroutines, for the cases of ours under the same names and of the same sizes.
// One thread: experimental::channel on an io_context that knows it. Two: concurrent_channel, two threads in
// run().

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

namespace rival {

namespace asio = boost::asio;
using asio::awaitable;
using boost::system::error_code;

struct settings {
    int threads = 1;
    bool processor_clock = false;
};
settings& how() noexcept;
double clock_ns() noexcept;

class stopwatch {
public:
    [[nodiscard]] double ns() const noexcept { return clock_ns() - start_; }
    [[nodiscard]] double ns_per(int n) const noexcept { return ns() / n; }

private:
    double start_ = clock_ns();
};

void keep(long value) noexcept;
double resident_bytes();

inline unsigned long work(unsigned long x, int steps) noexcept {
    for (int i = 0; i < steps; ++i) x = x * 5 / 4 + 1;
    return x;
}

/// A figure, or why there is none.
struct outcome {
    double figure = 0;
    const char* left_out = nullptr;
};

struct bench_case {
    const char* name;
    int size;
    outcome (*on_one)(int);
    outcome (*on_several)(int);
};

inline constexpr auto answer = asio::as_tuple(asio::use_awaitable);

/// What a case needs of Asio, for one thread or for several.
template <bool Several>
class world {
public:
    using executor = asio::io_context::executor_type;
    using channel =
        std::conditional_t<Several, asio::experimental::concurrent_channel<executor, void(error_code, int)>,
                           asio::experimental::channel<executor, void(error_code, int)>>;

    world() : context_(Several ? how().threads : 1) {}

    [[nodiscard]] asio::io_context& context() noexcept { return context_; }
    [[nodiscard]] std::shared_ptr<channel> make(std::size_t capacity) {
        return std::make_shared<channel>(context_.get_executor(), capacity);
    }
    void go(awaitable<void> task) { asio::co_spawn(context_, std::move(task), asio::detached); }
    /// Until nothing is left to do.
    void run() {
        std::vector<std::jthread> others;
        for (int i = 1; Several && i < how().threads; ++i) others.emplace_back([this] { context_.run(); });
        context_.run();
    }

private:
    asio::io_context context_;
};

} // namespace rival
