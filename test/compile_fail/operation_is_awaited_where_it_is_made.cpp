// expect: await an operation in the expression that made it
#include <levada/channel/channel.hpp>
#include <levada/task/task.hpp>

levada::task<> f(levada::channel<int> ch) {
    auto ok = co_await ch.recv();
    static_cast<void>(ok);
#ifdef LEVADA_MISUSE
    auto op = ch.recv();
    auto r = co_await op;
    static_cast<void>(r);
#endif
}
