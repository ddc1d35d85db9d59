// expect: (?s)\A(?=(.*?error: [^\n]*nobody would await){21})(?=(.*?error: [^\n]*called and not){2})
#include <levada/levada.hpp>

using namespace levada;
using namespace std::chrono_literals;

// An awaitable of its own for each place: the compiler says a sentence once for each type.
template <int>
struct other {
    bool await_ready();
    void await_suspend(std::coroutine_handle<>);
    int await_resume();
};
template <int N>
other<N> call();
template <int N>
other<N> call_with(int);

result<int> plain();

task<> f(task_group& g, wait_group& wg, once& o, event_loop& loop, cancel_token token, channel<int> ch) {
    static constexpr task_local<int> local;
    go(plain); // a result is a value
    std::ignore = co_await with_timeout(1s, ch.recv());
#ifdef LEVADA_MISUSE
    go([] { return sleep_for(1h); });
    spawn(call<1>).detach();
    spawn_on(loop, call<2>).detach();
    loop.go(call<3>);
    g.go(call<4>);
    g.try_go(call<5>);
    co_await g.start(call<6>);
    wg.go(call<7>);
    std::ignore = co_await with_timeout(1s, call<8>);
    std::ignore = co_await with_deadline(now(), call<9>);
    std::ignore = co_await with_token(token, call<10>);
    std::ignore = co_await shield(call<11>);
    std::ignore = co_await local.with(1, call<12>);
    std::ignore = co_await with_group([](task_group&) { return other<13>(); });
    std::ignore = co_await when_all(call<14>);
    std::ignore = co_await when_any(call<15>);
    std::ignore = co_await fan_out(std::vector<int>(), call_with<16>);
    co_await worker_pool(1, ch, channel<other<17>>(), call_with<17>);
    std::ignore = co_await offload(call<18>);
    co_await o.call(call<19>);
    run(call<20>);
    const defer d([&ch] { return ch.recv(); });
    loop.post([] { return sleep_for(1h); });
#endif
}
