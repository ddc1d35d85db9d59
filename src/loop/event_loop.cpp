#include <levada/loop/event_loop.hpp>

#include <sys/single_threaded.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <system_error>

#include <levada/base/errc.hpp>
#include <levada/detail/engine/enter_executor.hpp>
#include <levada/detail/engine/thread_context.hpp>
#include <levada/detail/engine/trace_hooks.hpp>
#include <levada/detail/inspect/task_view.hpp>
#include <levada/detail/util/clock_arithmetic.hpp>
#include <levada/detail/util/fatal.hpp>

#include "alarm.hpp"
#include "forks.hpp"
#include "granularity.hpp"
#include "loop_group.hpp"
#include "offered_work.hpp"
#include "poll_fd.hpp"
#include "ring.hpp"
#include "run_queue.hpp"
#include "ticks.hpp"
#include "wakeup_fd.hpp"

// Invariants:
// 1. The run queue, the timers and the ring are touched on the loop's thread only; other threads push to
//    `inbox_`, and take from `offered_`.
// 2. Who pushes to the inbox sets `attention::posted`, then looks at `sleeping_`; the loop sets `sleeping_`,
//    then looks at `attention::posted`; all four sequentially consistent. So either the loop sees the push
//    before it sleeps, or the pusher sees that it sleeps, and wakes it. One who wakes it clears `sleeping_`:
//    the rest of a burst costs no system call. `nudged_` is to `nudge()` as `posted` is to a push.
// 3. Urgent tasks go first (run_queue.hpp); but at least every other turn runs the usual ones too, for as
//    long as the urgent ones took.
// 4. A turn, and the run of a task in it, ends as soon as somebody calls (`attention`), 200 us after it began
//    at the earliest. While tasks run and a timer is armed, the kernel has an alarm for it; so a due timer
//    calls as well.

namespace levada {

using detail::attention;

namespace {

// How many tasks run before the loop looks at its ring and its timers.
constexpr unsigned tasks_a_turn = 256;
// How many timers fire at once: those whom they wake run before they leave the caches, and the ring is looked
// at.
constexpr std::size_t timers_a_turn = 512;
// What calls for attention waits for a turn of this length, in ticks: so a busy loop reaps in batches.
constexpr std::uint64_t least_turn = 200 * detail::ticks_per_us;
// A guest's owner is always taken to call.
constexpr std::uint64_t guest_turn = 1'000 * detail::ticks_per_us;
// And at most this much longer, where the urgent works took as long.
constexpr std::uint64_t most_turn = 300 * detail::ticks_per_us;
// How many operations at the beginning of a turn are looked at for how long they take; then every so often
// one.
constexpr unsigned looks_a_turn = 4;
constexpr std::uint32_t operations_unseen = 8; // between them, where nobody waits
constexpr std::chrono::microseconds between_looks(1000);
// How many tasks are looked for among the ready ones in a turn.
constexpr unsigned hurries_a_turn = 16;
// A kernel timeout costs some 5 us.
constexpr std::chrono::microseconds between_alarms(500);
// At most so many tasks are shared, or taken, at once.
constexpr int offer_at_once = 32;
// And so many are laid out for one who is not idle yet. Few: they do not keep their order.
constexpr int offer_ahead_at_once = 4;

// How long a loop looks around before it sleeps: less than a sleep and a wake-up cost.
constexpr int spins = 100;

/// The loop's clock as dumps want it: some ms coarse, and cheap.
std::uint32_t coarse_clock_ms() noexcept {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return detail::coarse_ms(
        time_point(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec)));
}

constexpr const char* guest_has_an_owner =
    "this event_loop is a guest in another ring, whose owner waits: give it the completions by dispatch(), "
    "and call run_ready()";

} // namespace

event_loop::event_loop() : event_loop(std::make_unique<detail::ring>()) {}

event_loop::event_loop(std::unique_ptr<detail::ring> r)
    : ring_(std::move(r)),
      alarm_(std::make_unique<detail::alarm>(*ring_)),
      wakeup_fd_(std::make_unique<detail::wakeup_fd>(*ring_)),
      queue_(std::make_unique<detail::run_queue>()),
      offered_(std::make_unique<detail::offered_work>()) {
    detail::count_forks();
    made_in_ = detail::forks();
    show_lists();
    ring_->call(attention_);
    set_calls(attention_);
}

event_loop::~event_loop() {
    if (made_in_ != detail::forks()) {
        if (root().live() != 0) detail::used_after_fork("an event_loop on which tasks live");
        // The ring's memory is not here, and what is in it is the parent's. They are left as they are.
        (void)wakeup_fd_.release();
        (void)ring_.release();
        return;
    }
    {
        detail::lock_guard guard(inbox_lock_); // whoever has posted, or stopped us, has let go of the loop
    }
    const bool here = on_own_thread();
    (void)take_inbox();
    if (!here && ring_->is_guest())
        detail::fatal("an event_loop in a guest_ring was destroyed on another thread than the ring's owner");
    ring_->begin_ending();
    if (!here && root().live() == 0) (void)run_late();
    if (root().live() != 0 || ring_->in_flight() != 0 || anything_ready() ||
        (here && ring_->background() > 1u + (alarm_->armed() ? 1 : 0))) {
        if (!here)
            detail::fatal(
                "an event_loop was destroyed on another thread than the one that ran it, while tasks "
                "live on it");
        enter();
        detail::enter_executor entered(*this);
        shut_down(duration::max());
    }
    // On another thread the ring may not be used; closing it ends the poll, which has no memory of ours.
    if (entered_ && here) {
        const detail::enter_executor entered(*this);
        end_multishots();
        alarm_->close();
        wakeup_fd_->close();
    } else if (!here) {
        ring_->forget_multishots();
        (void)run_late(); // as above
    }
}

// While one stands, who is woken on the loop's thread is urgent.
class event_loop::urgent_wakes {
public:
    explicit urgent_wakes(event_loop& on) noexcept : on_(on) { on_.wake_urgently(true); }
    ~urgent_wakes() { on_.wake_urgently(false); }
    urgent_wakes(const urgent_wakes&) = delete;
    urgent_wakes& operator=(const urgent_wakes&) = delete;

private:
    event_loop& on_;
};

void event_loop::wake_urgently(bool urgent) noexcept {
    queue_->wake_urgently(urgent);
    if (!poll_fd_) show_lists();
}

// While nobody watches, whoever starts or wakes a task has to come to start() and wake().
void event_loop::show_lists() noexcept {
    if (watched_) set_direct(queue_->woken(), queue_->started());
    else forget_direct();
}

void event_loop::watch() noexcept {
    group_->wake_watcher();
    granularity_->begin_turn(steps()); // what that took is no step of a task
    watched_ = true;
    if (!poll_fd_) show_lists();
}

bool event_loop::anything_ready() const noexcept { return !queue_->empty(); }

void event_loop::enter() {
    if (made_in_ != detail::forks()) detail::used_after_fork("an event_loop");
    if (entered_) return;
    ring_->enable();
    owner_ = std::this_thread::get_id();
    if (clockid_t clock; ::pthread_getcpuclockid(::pthread_self(), &clock) == 0)
        clock_.store(clock, std::memory_order_relaxed);
    wakeup_fd_->listen();
    entered_ = true;
}

void event_loop::post(work& w) noexcept {
    if (executor::current() == this) return queue_->push_woken(w);
    if (const auto in = detail::owner_section::enter_if_mine(); in != detail::owner_section::entered::none) {
        queue_->push_woken(w);
        if (poll_fd_) poll_fd_->signal();
        return detail::owner_section::leave(in);
    }
    // All of it under the lock: once it is let go, the work may run, and the loop may be destroyed by it.
    detail::lock_guard guard(inbox_lock_);
    inbox_.push(w);
    attention_.set(attention::posted);
    if (sleeping_.exchange(false, std::memory_order_seq_cst)) call();
}

// Whoever polls poll_fd_ sleeps there; in a `run_once` with a timeout the loop sleeps in its ring all the
// same.
void event_loop::call() noexcept {
    wakeup_fd_->wake();
    if (poll_fd_) poll_fd_->signal();
}

void event_loop::stop() noexcept {
    detail::lock_guard guard(inbox_lock_);
    stop_.store(true, std::memory_order_seq_cst);
    if (sleeping_.exchange(false, std::memory_order_seq_cst)) call();
}

std::size_t event_loop::in_flight() const noexcept { return ring_->in_flight(); }

bool event_loop::take_inbox() noexcept {
    if (!attention_.has(attention::posted, std::memory_order_relaxed)) return false;
    attention_.clear(attention::posted);
    detail::lock_guard guard(inbox_lock_);
    if (inbox_.empty()) return false;
    queue_->append_urgent(std::move(inbox_));
    return true;
}

// After a run, or between two operations of one, of which there were `operations`: whether somebody calls,
// and has waited long enough.
inline bool event_loop::turn_is_over(std::uint32_t operations) noexcept {
    if (granularity_looks_ == 0) [[likely]] {
        if (!attention_.wanted()) [[likely]]
            return false;
        // Urgent ones call all through the turn, and each has its time: there is nothing to look at before.
        if (!attention_.wanted_beside(attention::urgent) && detail::ticks() < may_run_until_) return false;
    }
    look(operations);
    return attention_.wanted() && detail::ticks() >= may_run_until_;
}

void event_loop::look(std::uint32_t operations) noexcept {
    // First: a loop that gets idle after our look at it asks again.
    const bool asked = attention_.has(attention::look, std::memory_order_relaxed);
    if (asked) attention_.clear(attention::look);
    const bool waits = anything_ready();
    if (waits && shares()) {
        if (judges() && granularity_->look(steps() + operations)) coarse_ = true;
        offer_ahead();
        if (granularity_looks_ != 0 && --granularity_looks_ != 0) {
            attention_.set(attention::look); // and again after the next operation or run
            return;
        }
    }
    if (asked) set_alarm(waits);
}

// A task may compute for as long as it likes: what waits meanwhile has to be in others' reach before.
void event_loop::offer_ahead() noexcept {
    if (!coarse_ || !anything_ready()) return;
    if (group_->size() == 1) { // there are no other threads after all
        coarse_ = false;
        return;
    }
    if (group_->anybody_idle()) offer(2 * offer_at_once);
    else if (offers_ahead_ && !offers_work())
        offers_ahead_ = offer(2 * (granularity_->long_steps() ? offer_at_once : offer_ahead_at_once));
}

std::uint64_t event_loop::steps() const noexcept { return ran() + context()->operations; }

bool event_loop::anything_waits() const noexcept { return !queue_->seems_empty(); }

std::uint64_t event_loop::processor_time() const noexcept {
    const clockid_t clock = clock_.load(std::memory_order_relaxed);
    timespec t{};
    if (clock == no_clock || ::clock_gettime(clock, &t) != 0) return 0; // its thread has ended
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

bool event_loop::offer_behind_it() noexcept {
    detail::ready_half taken = queue_->visit_half(2 * offer_at_once, *this);
    if (taken.size == 0) return false;
    publish_offer(std::move(taken));
    return true;
}

bool event_loop::run_tasks() noexcept {
    if (!anything_ready()) return false;
    offers_ahead_ = true;
    if (watched_ && judges() && group_->watcher_rests()) {
        watched_ = false;
        show_lists();
    }
    if (attention_.has(attention::urgent, std::memory_order_relaxed)) attention_.clear(attention::urgent);
    const std::uint64_t began = detail::ticks();
    may_run_until_ = began + (ring_->is_guest() ? guest_turn : least_turn);
    granularity_looks_ = 0;
    if (judges()) {
        granularity_->begin_turn(steps());
        if (!coarse_ && alarm_->at() == time_point::max()) {
            // Its first operations tell how coarse the work is, and then the alarm calls for a look.
            granularity_looks_ = looks_a_turn;
            attention_.set(attention::look);
        }
    }
    // The alarm is set once a first work has run: as a rule it is the only one, and then the loop sleeps
    // until that time. A timer that is due already ends the turn as soon as may be.
    const auto watch_timers = [this] {
        if (const time_point next = executor::next_deadline(); next < alarm_->at())
            attention_.set(next > now() ? attention::look : attention::urgent);
    };
    watch_timers();

    const auto run = [&](work& w) {
        if (coarse_) offer_ahead();
        else if (!watched_ && anything_ready()) watch();
        if (detail::trace_sink* const trace = detail::tracing()) [[unlikely]]
            trace->run(w);
        else w.run();
        ran_.store(ran() + 1, std::memory_order_relaxed);
        budget_kept_ = 0;
    };
    bool over = false;
    bool called = false;
    const auto call_for_those_behind = [&](bool some) {
        if (called == some) return;
        called = some;
        if (some) return attention_.set(attention::urgent);
        attention_.clear(attention::urgent);
        watch_timers(); // which may have called so too
    };
    const std::uint64_t ran_before = ran();
    detail::run_queue& queue = *queue_;
    while (queue.has_urgent()) {
        offers_ahead_ = true;
        queue.begin_urgent();
        const urgent_wakes during(*this); // what they wake is as urgent as they are
        while (!over && ran() - ran_before < tasks_a_turn) {
            work* const w = queue.next_urgent();
            if (!w) break;
            call_for_those_behind(queue.has_urgent()); // they do not wait for a whole budget of its steps
            run(*w);
            queue.urgent_has_run();
            over = turn_is_over(0);
        }
        if (queue.has_urgent()) {
            attention_.set(attention::urgent);
            break;
        }
        call_for_those_behind(false);
        // What they have asked the kernel for may be there at once, and need not wait for a step of the
        // others.
        if (over || ring_->is_guest() || late_ || !anything_ready() || !ring_->wants_poll() ||
            detail::ticks() - began >= least_turn)
            break;
        serve_ring(time_point::min());
        serve_timers(); // the alarm may have come
        watch_timers();
    }
    // The usual ones have a turn at least every other time, and then as long a one as the urgent ones had.
    usual_left_out_ = over && !usual_left_out_;
    if (!usual_left_out_) {
        if (over) {
            serve_timers(); // a limit, perhaps of one of them
            if (queue.has_urgent()) attention_.set(attention::urgent);
        }
        if (ran() != ran_before) {
            const std::uint64_t now = detail::ticks();
            may_run_until_ = std::max(may_run_until_, now + std::min(now - began, most_turn));
        }
        for (unsigned at = 0; work* const w = queue.next_usual();) {
            run(*w);
            if (++at == tasks_a_turn || ((attention_.wanted() || granularity_looks_ != 0) && turn_is_over(0)))
                break;
        }
    }
    if (judges()) {
        if (!granularity_->coarse()) {
            if (anything_ready() && granularity_->look_back(steps())) coarse_ = true;
        } else if (granularity_->end_turn(steps())) {
            coarse_ = false;
        }
    }
    queue.end_turn();
    return true;
}

bool event_loop::goes_on(std::uint32_t& budget) noexcept {
    if (budget == 0 && budget_kept_ != 0) {
        context()->operations += budget_kept_;
        budget = std::exchange(budget_kept_, 0);
        look(detail::full_budget - budget);
        set_alarm(true); // others may be ready before it is done
    }
    if (budget == 0 || turn_is_over(detail::full_budget - budget)) return false;
    if (granularity_looks_ != 0 && budget > operations_unseen) {
        // Nobody waited yet.
        budget_kept_ = budget - operations_unseen;
        context()->operations -= budget_kept_;
        budget = operations_unseen;
    }
    return true;
}

// Whether other loops may take what is ready here.
bool event_loop::shares() const noexcept { return group_ && group_->shares() && !late_; }
// Whether it matters how coarse the work is.
bool event_loop::judges() const noexcept { return shares() && !group_->eager(); }

void event_loop::arm(time_point deadline) noexcept {
    if (deadline < alarm_->at()) attention_.set(attention::look);
}

// A loop that runs tasks hears of a due timer by the kernel, and while others wait of the time for a look. At
// most every `between_alarms`.
void event_loop::set_alarm(bool others_wait) noexcept {
    if (ring_->is_guest() || late_) return;
    time_point next = executor::next_deadline();
    const bool watches = others_wait && judges() && !coarse_;
    if (next >= alarm_->at() && !watches) return;
    const time_point here = now();
    if (next <= here) return attention_.set(attention::urgent); // the turn ends, and its task wakes up
    next = std::max(next, here + between_alarms);
    if (watches) next = std::min(next, here + between_looks);
    alarm_->set(next);
}

// Offers half of what is ready, of the first `most`, to loops that have nothing to do, and starts these; of
// what is urgent only if one of them is there, or steps are long. False if there was some, and none of it may
// move.
bool event_loop::offer(int most) noexcept {
    const bool urgent_too = group_->anybody_idle() || group_->eager() || granularity_->long_steps();
    detail::ready_half taken = queue_->take_half(most, urgent_too, *this);
    const bool none_may_move = taken.none_may_move;
    if (taken.size != 0) {
        publish_offer(std::move(taken));
        group_->start_soon();
    }
    return !none_may_move;
}

void event_loop::publish_offer(detail::ready_half&& taken) noexcept {
    offered_->put(std::move(taken));
    group_->work_offered();
}

bool event_loop::offers_work() const noexcept { return !offered_->empty(); }

bool event_loop::let_steal(event_loop& thief) noexcept {
    if (&thief == this) return offered_->take_all(*this, *queue_);
    return offered_->take_half(thief, *thief.queue_, offer_at_once);
}

void event_loop::wake(detail::waiter& p) noexcept {
    if (!watched_ && context()->task) watch(); // that task may go on to compute for long
    if (p.home() == this || (group_ && !group_->pinned() && works_with(*p.home()) && p.move_to(*this))) {
        queue_->push_woken(p);
        // The running task may go on for long.
        if (coarse_ && group_->anybody_idle()) attention_.set(attention::look);
    } else p.home()->post(p);
}

void event_loop::start(work& w) noexcept {
    if (!watched_) watch(); // the task that starts it may go on to compute for long
    // The task that starts it may go on to compute for long, and whoever is idle need not wait for that.
    if (coarse_ && group_->anybody_idle() && w.move_to(*this)) {
        detail::ready_half one;
        one.usual.push(w);
        one.size = 1;
        publish_offer(std::move(one));
    } else {
        queue_->push_started(w);
        offers_ahead_ = true; // it may move, whatever was found before
    }
}
void event_loop::yield(work& w) noexcept { queue_->push_yielded(w); }

void event_loop::interrupted(work& w) noexcept { queue_->push_interrupted(w); }

event_loop* event_loop::current() noexcept { return dynamic_cast<event_loop*>(executor::current()); }

// A limit has come for a task that is ready: it need not wait behind those that only compute.
void event_loop::hurry(work& w) noexcept {
    if (hurries_ == 0) return;
    --hurries_;
    (void)queue_->make_urgent(w);
}

// Whom a timer or a completion wakes is urgent.
void event_loop::serve_timers() noexcept {
    const urgent_wakes during(*this);
    hurries_ = hurries_a_turn;
    (void)run_timers(timers_a_turn);
}

// Reaps, after a wait until `until` at most.
void event_loop::serve_ring(time_point until) noexcept {
    const urgent_wakes during(*this);
    if (until == time_point::min()) ring_->poll();
    else ring_->wait(until, &quiet_);
    ring_->seen(attention_);
}

// Runs what is ready, then looks at the ring and the clock; sleeps until `until` at most if nothing is.
bool event_loop::turn(time_point until) {
    if constexpr (detail::diagnosis) context()->clock = coarse_clock_ms();
    (void)take_inbox();
    if (group_ && offers_work() && !group_->anybody_idle() && !group_->thief_comes())
        (void)let_steal(*this); // nobody wants it
    const bool did = run_tasks();
    serve_timers();
    if (did || anything_ready()) {
        looks_ = 0;
        if (ring_->wants_poll()) serve_ring(time_point::min());
        return true;
    }
    if (group_ && group_->started() && group_->search(*this)) return true;
    return sleep(until);
}

bool event_loop::sleep(time_point until) {
    const bool grouped = group_ && group_->started();
    const auto wanted = [this] {
        return attention_.has(attention::posted) || stop_.load(std::memory_order_seq_cst) ||
               nudged_.load(std::memory_order_seq_cst);
    };
    bool work = false;
    if (group_ && !__libc_single_threaded) // with one thread, run_main sees it
        quiet_.store(ring_->submitted() == 0 && executor::next_deadline() == time_point::max(),
                     std::memory_order_seq_cst);
    if (grouped) {
        if (!group_->goes_idle(*this)) {
            quiet_.store(false, std::memory_order_seq_cst);
            return true;
        }
        for (int i = 0; i < spins && !work; ++i) {
            detail::relax();
            work = wanted() || group_->anything_offered() || ring_->wants_poll();
        }
    }
    sleeping_.store(true, std::memory_order_seq_cst);
    if (work || wanted() || (grouped && group_->anything_offered())) {
        sleeping_.store(false, std::memory_order_relaxed);
        quiet_.store(false, std::memory_order_seq_cst);
        if (ring_->wants_poll()) serve_ring(time_point::min());
    } else {
        until = std::min(until, executor::next_deadline());
        if (quiet_.load(std::memory_order_relaxed))
            until = std::min(until, group_->look_for_deadlock(looks_++));
        rests_.store(true, std::memory_order_release);
        serve_ring(until);
        rests_.store(false, std::memory_order_release);
        sleeping_.store(false, std::memory_order_relaxed);
    }
    nudged_.store(false, std::memory_order_seq_cst);
    serve_timers();
    quiet_.store(false, std::memory_order_seq_cst);
    if (grouped) {
        const bool to_look = group_->woke_up(*this);
        if (to_look && (anything_ready() || attention_.has(attention::posted, std::memory_order_relaxed)))
            group_->work_offered();
        return true;
    }
    return anything_ready() || attention_.has(attention::posted, std::memory_order_relaxed);
}

void event_loop::join_group(detail::loop_group& c, event_loop& first) {
    group_ = &c;
    granularity_ = std::make_unique<detail::granularity>();
    coarse_ = c.eager() && c.size() > 1;
    watched_ = !judges();
    show_lists();
    if (&first != this) share_root(first);
}

void event_loop::end_all() {
    enter();
    detail::enter_executor entered(*this);
    shut_down(duration::max());
}

bool event_loop::run_late() noexcept {
    const detail::enter_executor entered(*this);
    coarse_ = false;
    late_ = true; // the ring is not this thread's
    bool did = false;
    while (let_steal(*this) || take_inbox() || anything_ready()) did = run_tasks() || did;
    late_ = false;
    return did;
}

void event_loop::nudge() noexcept {
    nudged_.store(true, std::memory_order_seq_cst);
    if (sleeping_.exchange(false, std::memory_order_seq_cst)) call();
}

void event_loop::run_in_group(const std::atomic<bool>& stop) noexcept {
    enter();
    detail::enter_executor entered(*this);
    rests_.store(false, std::memory_order_release);
    while (!stop.load(std::memory_order_seq_cst)) {
        (void)turn(time_point::max());
        group_->report(*this);
    }
    end_multishots();
    rests_.store(true, std::memory_order_release);
}

void event_loop::end_multishots() noexcept {
    do {
        ring_->end_multishots();
        // Those that others have let go of meanwhile, or that were to be armed here.
        while (take_inbox() || anything_ready()) (void)run_tasks();
    } while (ring_->has_multishots());
}

void event_loop::run() {
    if (ring_->is_guest()) detail::fatal(guest_has_an_owner);
    if (executor::current()) detail::fatal("event_loop::run on a loop's own thread");
    enter();
    detail::enter_executor entered(*this);
    while (!stop_.exchange(false, std::memory_order_seq_cst)) {
        if (!anything_ready() && !take_inbox() && root().live() == 0) break;
        (void)turn(time_point::max());
    }
    if (root().live() == 0) end_multishots(); // it may be destroyed on another thread now
}

bool event_loop::run_once(duration timeout) {
    if (ring_->is_guest()) detail::fatal(guest_has_an_owner);
    if (executor::current()) detail::fatal("event_loop::run_once on a loop's own thread");
    enter();
    detail::enter_executor entered(*this);
    sleeping_.store(false, std::memory_order_relaxed); // it may rest since the last turn
    const bool did = turn(detail::saturating_add(now(), timeout));
    const bool ran = run_tasks();
    if (poll_fd_) rest();
    return ran || did;
}

// Between two turns poll_fd_ stands in for the sleep in the ring, and so do invariant 2 and its flags.
void event_loop::rest() noexcept {
    poll_fd_->clear(executor::next_deadline());
    sleeping_.store(true, std::memory_order_seq_cst);
    // The kernel has to have what tasks have submitted.
    if (ring_->wants_poll()) ring_->poll();
    if (anything_ready() || attention_.has(attention::posted) || stop_.load(std::memory_order_seq_cst) ||
        ring_->wants_poll())
        poll_fd_->signal();
}

int event_loop::fd() {
    if (ring_->is_guest()) detail::fatal(guest_has_an_owner);
    if (group_)
        detail::fatal("event_loop::fd of a loop of a runtime: only a loop of one's own can be polled");
    if (!poll_fd_) {
        detail::owner_section::come_here();
        enter();
        auto made = std::make_unique<detail::poll_fd>();
        ring_->signal_to(made->event_fd());
        {
            detail::lock_guard guard(inbox_lock_);
            poll_fd_ = std::move(made);
        }
        forget_direct();    // all that is made ready comes through post()
        poll_fd_->signal(); // what is ready already is found by the first turn
    }
    return poll_fd_->fd();
}

event_loop::event_loop(const guest_ring& host) : event_loop(std::make_unique<detail::ring>(host)) {}

bool event_loop::dispatch(const io_uring_cqe& cqe) noexcept {
    if (!ring_->is_guest())
        detail::fatal("event_loop::dispatch: this loop has a ring of its own, and reaps it");
    const detail::enter_executor entered(*this);
    const urgent_wakes during(*this);
    return ring_->dispatch(cqe);
}

bool event_loop::run_ready() {
    if (!ring_->is_guest())
        detail::fatal("event_loop::run_ready: this loop has a ring of its own: use poll()");
    if (executor::current()) detail::fatal("event_loop::run_ready on a loop's own thread");
    enter();
    const detail::enter_executor entered(*this);
    sleeping_.store(false, std::memory_order_relaxed); // it has rested since the last turn
    if constexpr (detail::diagnosis) context()->clock = coarse_clock_ms();
    bool did = take_inbox();
    serve_timers();
    did = run_tasks() || did;
    ring_->refill();
    // Between two turns the owner's wait stands in for the sleep in the ring, and next_deadline() for the
    // look at the inbox before it.
    sleeping_.store(true, std::memory_order_seq_cst);
    return did;
}

time_point event_loop::next_deadline() const noexcept {
    if (anything_ready() || attention_.has(attention::posted)) return now();
    return executor::next_deadline();
}

bool event_loop::asleep_for_ever() const noexcept {
    // With more threads the loop_group looks whether one of the others might wake a task.
    if (group_ && group_->asleep_for_ever()) return true;
    return __libc_single_threaded && !anything_ready() && ring_->in_flight() == 0 &&
           executor::next_deadline() == time_point::max() && !ring_->has_news();
}

bool event_loop::run_main(detail::task_block& main, duration shutdown_limit) {
    if (executor::current()) detail::fatal("levada::run on a loop's own thread: co_await the task instead");
    enter();
    detail::enter_executor entered(*this);
    bool asleep = false;
    rests_.store(false, std::memory_order_release);
    if (group_) group_->watch(&main);
    while (main.state() != detail::park_state::ended) {
        if (asleep_for_ever()) {
            std::fflush(stdout);
            std::fprintf(stderr, "levada: all tasks are asleep, and nothing can wake them:\n%s",
                         detail::list_tasks(*this).c_str());
            asleep = true;
            break;
        }
        (void)turn(time_point::max());
    }
    if (detail::leaks_are_told.load(std::memory_order_relaxed) && !asleep)
        if (const std::string left = detail::list_tasks(*this); !left.empty())
            std::fprintf(stderr, "levada: the main task has ended, and what still lives is cancelled:\n%s",
                         left.c_str());
    shut_down(shutdown_limit);
    rests_.store(true, std::memory_order_release);
    return !asleep;
}

// Cancels and joins all that lives here. What is started meanwhile is born cancelled, below the same root.
void event_loop::shut_down(duration limit) {
    const time_point deadline = detail::saturating_add(now(), limit);
    if (group_) group_->shutting_down();
    root().cancel(make_error_code(errc::cancelled));
    const auto anything = [this] {
        return take_inbox() || root().live() != 0 || ring_->in_flight() != 0 || anything_ready();
    };
    while (anything() || (group_ && group_->stop() && anything())) {
        if (now() >= deadline) {
            const std::string left = detail::list_tasks(*this);
            detail::fatal("the shutdown took longer than its limit; what still runs:\n" + left);
        }
        (void)turn(deadline);
    }
    end_multishots();
    renew_root();
}

} // namespace levada
