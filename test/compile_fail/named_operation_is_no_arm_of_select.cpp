// expect: write the operation in the select itself
#include <levada/core/task.hpp>
#include <levada/sync/channel.hpp>
#include <levada/sync/select.hpp>

levada::task<> g(levada::channel<int> ch) {
    auto op = ch.recv();
#ifdef LEVADA_MISUSE
    auto s = co_await levada::select(op);
#else
    auto s = co_await levada::select(std::move(op));
#endif
    static_cast<void>(s);
}
