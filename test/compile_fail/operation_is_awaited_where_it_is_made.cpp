// expect: await an operation in the expression that made it
#include <levada/core/task.hpp>
#include <levada/sync/channel.hpp>

levada::task<> f(levada::channel<int> ch) {
    auto ok = co_await ch.recv();
    static_cast<void>(ok);
#ifdef LEVADA_MISUSE
    auto op = ch.recv();
    auto r = co_await op;
    static_cast<void>(r);
#endif
}
