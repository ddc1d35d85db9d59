// expect: this cannot be an arm of select: .*Start it with spawn and select on h.join
#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/task/task.hpp>

levada::task<int> f();

levada::task<> g(levada::channel<int> ch) {
    auto ok = co_await levada::select(ch.recv(), levada::after(std::chrono::seconds(1)));
    static_cast<void>(ok);
#ifdef LEVADA_MISUSE
    auto s = co_await levada::select(ch.recv(), f());
    static_cast<void>(s);
#endif
}
