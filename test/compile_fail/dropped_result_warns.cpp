// expect: ignoring return value
#include <tuple>

#include <levada/core/task.hpp>
#include <levada/sync/channel.hpp>

#pragma GCC diagnostic error "-Wunused-result"

levada::task<> f(levada::channel<int> ch) {
    std::ignore = co_await ch.send(1);
#ifdef LEVADA_MISUSE
    co_await ch.send(1);
#endif
}
