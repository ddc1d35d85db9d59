// expect: g\+\+ before 13 destroys this temporary callable twice: give the lambda a name and move it in
#include <chrono>
#include <levada/task/timeout.hpp>
#include <string>

levada::task<> f(std::string s) {
    using namespace std::chrono_literals;
    auto named = [s]() -> levada::task<> { co_return; };
    auto ok = co_await levada::with_timeout(1s, named);
    static_cast<void>(ok);
#ifdef LEVADA_MISUSE
    auto r = co_await levada::with_timeout(1s, [s]() -> levada::task<> { co_return; });
    static_cast<void>(r);
#endif
}
