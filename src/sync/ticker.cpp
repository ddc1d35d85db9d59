#include <levada/sync/ticker.hpp>

#include <tuple>

#include <levada/base/fatal.hpp>
#include <levada/core/spawn.hpp>
#include <levada/core/task.hpp>
#include <levada/sync/timer.hpp>

namespace levada {
namespace {

task<> tick(channel<time_point> out, duration every) {
    time_point next = now();
    while (!out.is_last_handle()) {
        next = detail::saturating_add(next, every);
        co_await sleep_until(next);
        const time_point t = now();
        std::ignore = out.try_send(t);
        if (next + every < t) next += (t - next) / every * every; // late by whole ticks: they are missed
    }
}

} // namespace

recv_channel<time_point> detail::start_ticker(duration every) {
    if (every <= duration::zero()) fatal("ticker needs a duration of more than 0");
    channel<time_point> out(1);
    go(tick, out, every);
    return out;
}

} // namespace levada
