#include <levada/channel/ticker.hpp>

#include <cstdint>
#include <memory>

#include <levada/detail/util/clock_arithmetic.hpp>
#include <levada/detail/util/fatal.hpp>
#include <levada/sync/timer.hpp>
#include <levada/task/spawn.hpp>
#include <levada/task/task.hpp>

namespace levada {
namespace {

class ticker_state;

/// Between the ticker's task and its channel: the task does not keep the channel, which takes itself out, and
/// cancels the task, when nobody else keeps it either. The lock guards `channel`, and what the task does to
/// it.
struct ticker_link {
    detail::lock guard;
    ticker_state* channel = nullptr;
};

class ticker_state final : public detail::channel_state<time_point> {
public:
    ticker_state(std::shared_ptr<ticker_link> link, detail::await_site made_at)
        : channel_state(1, made_at), link_(std::move(link)) {
        link_->channel = this;
    }
    /// The task that ticks.
    void belongs_to(detail::task_block& ticking) noexcept {
        ticking.ref();
        ticking_ = &ticking;
    }
    enum class state : std::uint8_t { open, closed, gone };
    /// A tick, unless one is there already. `gone`: it went to the last receive, and nobody has the channel
    /// any more: then it is to be destroyed.
    state put(time_point t, detail::work_list& ready) noexcept {
        const detail::lock_guard guard(mutex());
        detail::send_arm<time_point> tick(this, &t);
        (void)send_now(tick, ready);
        if (orphan_ && !anything_linked()) return state::gone;
        return tick.status == detail::channel_status::closed ? state::closed : state::open;
    }
    void destroy() noexcept override {
        {
            const detail::lock_guard guard(link_->guard);
            link_->channel = nullptr;
        }
        if (ticking_) {
            ticking_->cancel(make_error_code(errc::cancelled));
            ticking_->unref();
        }
        delete this;
    }

private:
    ~ticker_state() override = default;

    std::shared_ptr<ticker_link> link_;
    detail::task_block* ticking_ = nullptr;
};

bool put(ticker_link& to, time_point t) noexcept {
    detail::work_list ready;
    ticker_state* channel;
    auto found = ticker_state::state::closed;
    {
        const detail::lock_guard guard(to.guard);
        channel = to.channel;
        if (channel) found = channel->put(t, ready);
    }
    detail::post_all(ready);
    if (found == ticker_state::state::gone) channel->destroy();
    return found == ticker_state::state::open;
}

task<> tick(std::shared_ptr<ticker_link> to, duration every) {
    time_point next = now();
    for (bool open = true; open;) {
        next = detail::saturating_add(next, every);
        co_await sleep_until(next);
        const time_point t = now();
        open = put(*to, t);
        if (next + every < t) next += (t - next) / every * every; // late by whole ticks: they are missed
    }
}

} // namespace

recv_channel<time_point> detail::start_ticker(duration every, const std::source_location& where) {
    if (every <= duration::zero()) fatal("ticker needs a duration of more than 0");
    executor& home = current_executor("ticker");
    // All that it needs is taken here, and a failure is the caller's.
    auto link = std::make_shared<ticker_link>();
    auto* const state = new ticker_state(link, await_site(where));
    auto out = channel_access::first_handle<time_point>(*state);
    auto call = [frame = tick(std::move(link), every)]() mutable { return std::move(frame); };
    task_block& ticking = make_task_block(home, where, joined_end(), std::move(call));
    state->belongs_to(ticking);
    ticking.launch(home.local_root());
    return out;
}

} // namespace levada
