// expect: write the operation in the select itself
#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/task/task.hpp>

levada::task<> g(levada::channel<int> ch) {
    auto op = ch.recv();
#ifdef LEVADA_MISUSE
    auto s = co_await levada::select(op);
#else
    auto s = co_await levada::select(std::move(op));
#endif
    static_cast<void>(s);
}
