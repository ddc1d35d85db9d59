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

#include "../lib/measure.hpp"

namespace rival {

namespace asio = boost::asio;
using asio::awaitable;
using boost::system::error_code;

using bench::clock_ns;
using bench::how;
using bench::keep;
using bench::resident_bytes;
using bench::stopwatch;
using bench::work;

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
