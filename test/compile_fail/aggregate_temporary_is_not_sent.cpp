// expect: g\+\+ before 13 destroys a temporary aggregate twice in co_await ch.send\(M\{...\}\): use
// ch.emplace
#include <string>
#include <utility>

#include <levada/channel/channel.hpp>
#include <levada/task/task.hpp>

struct message {
    std::string text;
};

levada::task<> f(levada::channel<message> ch) {
    const message m{"hello"};
    auto ok = co_await ch.send(m);
    static_cast<void>(ok);
#ifdef LEVADA_MISUSE
    auto r = co_await ch.send(message{"hello"});
    static_cast<void>(r);
#endif
}
