// expect: ignoring return value
#include <tuple>

#include <levada/channel/channel.hpp>
#include <levada/task/task.hpp>

#pragma GCC diagnostic error "-Wunused-result"

levada::task<> f(levada::channel<int> ch) {
    std::ignore = co_await ch.send(1);
#ifdef LEVADA_MISUSE
    co_await ch.send(1);
#endif
}
