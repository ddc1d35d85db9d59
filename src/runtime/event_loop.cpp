#include <levada/runtime/event_loop.hpp>

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <system_error>

#include <levada/base/errc.hpp>
#include <levada/base/fatal.hpp>
#include <levada/base/trace_hooks.hpp>
#include <levada/core/inspect.hpp>

#include "alarm.hpp"
#include "beacon.hpp"
#include "crew.hpp"
#include "forks.hpp"
#include "grain.hpp"
#include "ring.hpp"
#include "ticks.hpp"
#include "waker.hpp"

// Invariants:
// 1. The queues, the timers and the ring are touched on the loop's thread only; other threads push to
// `inbox_`,
//    and take from `shared_`.
// 2. Who pushes to the inbox sets `attention::posted`, then looks at `sleeping_`; the loop sets `sleeping_`,
//    then looks at `attention::posted`; all four sequentially consistent. So either the loop sees the push
//    before it sleeps, or the pusher sees that it sleeps, and wakes it. One who wakes it clears `sleeping_`:
//    the rest of a burst costs no system call. `nudged_` is to `nudge()` as `posted` is to a push.
// 3. Every ready task has its turn. `urgent_` holds tasks that the clock, the kernel or another thread has
//    woken, and goes first; but at least every other turn runs the usual ones too, for as long as the urgent
//    ones took. Of the usual ones the first of `ready_` goes first, each eighth is the youngest of those that
//    were started, and each 256th an old one of these.
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
// Every so many is one that was just started, though others have been woken.
constexpr unsigned turn_of_stack = 8;
// What was started, and has seen younger ones go before it for so many runs, is old: one in so many is one of
// the old. (Not more, since each may start a tree of its own.)
constexpr unsigned turn_of_old = 256;
constexpr unsigned most_runs_with_stack = 32 * 256;
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
// How many tasks are looked for among the ready ones in a turn, and how far.
constexpr unsigned hurries_a_turn = 16;
constexpr unsigned most_looked_through = 1024;
// Of so many tasks that are interrupted one goes to the end of the queue.
constexpr unsigned turn_of_others = 4;
// A kernel timeout costs some 5 us.
constexpr std::chrono::microseconds between_alarms(500);
// At most so many tasks are shared, or taken, at once.
constexpr int share_at_once = 32;
// And so many are laid out for one who is not idle yet. Few: they do not keep their order.
constexpr int lay_out_at_once = 4;

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
      waker_(std::make_unique<detail::waker>(*ring_)) {
    detail::count_forks();
    made_in_ = detail::forks();
    set_direct(ready_, fresh_);
    ring_->call(attention_);
    set_calls(attention_);
}

event_loop::~event_loop() {
    if (made_in_ != detail::forks()) {
        if (root().live() != 0) detail::used_after_fork("an event_loop on which tasks live");
        // The ring's memory is not here, and what is in it is the parent's. They are left as they are.
        (void)waker_.release();
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
        waker_->close();
    } else if (!here) {
        ring_->forget_multishots();
        (void)run_late(); // as above
    }
}

// While one stands, who is woken on the loop's thread is urgent.
class event_loop::urgent_wakes {
public:
    explicit urgent_wakes(event_loop& on) noexcept : on_(on) { on_.woken_to(on_.urgent_); }
    ~urgent_wakes() { on_.woken_to(on_.ready_); }
    urgent_wakes(const urgent_wakes&) = delete;
    urgent_wakes& operator=(const urgent_wakes&) = delete;

private:
    event_loop& on_;
};

void event_loop::woken_to(detail::work_list& list) noexcept {
    woken_ = &list;
    if (direct()) set_direct(list, fresh_);
}

void event_loop::enter() {
    if (made_in_ != detail::forks()) detail::used_after_fork("an event_loop");
    if (entered_) return;
    ring_->enable();
    owner_ = std::this_thread::get_id();
    waker_->listen();
    entered_ = true;
}

void event_loop::post(work& w) noexcept {
    const bool inside = executor::current() == this;
    if (detail::single_threaded() || inside) {
        woken_->push(w);
        if (beacon_ && !inside) beacon_->light();
        return;
    }
    // All of it under the lock: once it is let go, the work may run, and the loop may be destroyed by it.
    detail::lock_guard guard(inbox_lock_);
    inbox_.push(w);
    attention_.set(attention::posted);
    if (sleeping_.exchange(false, std::memory_order_seq_cst)) call();
}

// Who polls the beacon sleeps there; in a `run_once` with a timeout the loop sleeps in its ring all the same.
void event_loop::call() noexcept {
    waker_->wake();
    if (beacon_) beacon_->light();
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
    urgent_.append(std::move(inbox_));
    return true;
}

// What was just started is the youngest batch of the stack.
inline void event_loop::stack_fresh(unsigned run) noexcept {
    if (fresh_.empty()) return;
    if (stack_.empty()) runs_with_stack_ = run;
    fresh_.append(std::move(stack_));
    stack_ = std::exchange(fresh_, {});
}

work* event_loop::next_ready(unsigned run) noexcept {
    stack_fresh(run);
    if (run % turn_of_stack == 0) {
        if (run % turn_of_old == 0) {
            if (run - runs_with_stack_ >= most_runs_with_stack) {
                runs_with_stack_ = run;
                old_.append(std::move(stack_));
            }
            if (work* w = old_.pop()) return w;
        }
        if (work* w = stack_.pop()) return w;
    }
    if (work* w = ready_.pop()) return w;
    if (work* w = stack_.pop()) return w;
    if (work* w = old_.pop()) return w;
    return later_.pop();
}

// After a run, or between two operations of one, of which there were `operations`: whether somebody calls,
// and has waited long enough.
inline bool event_loop::turn_is_over(std::uint32_t operations) noexcept {
    if (!attention_.wanted() && grain_looks_ == 0) [[likely]]
        return false;
    look(operations);
    return attention_.wanted() && detail::ticks() >= may_run_until_;
}

void event_loop::look(std::uint32_t operations) noexcept {
    // First: a loop that gets idle after our look at it asks again.
    const bool asked = attention_.has(attention::look, std::memory_order_relaxed);
    if (asked) attention_.clear(attention::look);
    const bool waits = anything_ready();
    if (waits && shares()) {
        if (judges() && grain_->look(steps() + operations)) set_coarse(true);
        lay_out();
        if (grain_looks_ != 0 && --grain_looks_ != 0) {
            attention_.set(attention::look); // and again after the next operation or run
            return;
        }
    }
    if (asked) set_alarm(waits);
}

// A task may compute for as long as it likes: what waits meanwhile has to be in others' reach before.
void event_loop::lay_out() noexcept {
    if (!coarse_ || !anything_ready()) return;
    if (crew_->size() == 1) { // there are no other threads after all
        coarse_ = false;
        return;
    }
    if (crew_->anybody_idle()) share(2 * share_at_once);
    else if (lays_out_ && !shares_work())
        lays_out_ = share(2 * (grain_->long_steps() ? share_at_once : lay_out_at_once));
}

std::uint64_t event_loop::steps() const noexcept { return ran_ + context()->operations; }

bool event_loop::run_tasks() noexcept {
    if (!anything_ready()) return false;
    lays_out_ = true;
    if (attention_.has(attention::urgent, std::memory_order_relaxed)) attention_.clear(attention::urgent);
    const std::uint64_t began = detail::ticks();
    may_run_until_ = began + (ring_->is_guest() ? guest_turn : least_turn);
    grain_looks_ = 0;
    if (judges()) {
        grain_->begin_turn(steps());
        if (!coarse_ && alarm_->at() == time_point::max()) {
            // Its first operations tell how coarse the work is, and then the alarm calls for a look.
            grain_looks_ = looks_a_turn;
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
        if (coarse_) lay_out();
        if (detail::trace_sink* const trace = detail::tracing()) [[unlikely]]
            trace->run(w);
        else w.run();
        ++ran_;
        budget_kept_ = 0;
    };
    bool over = false;
    const std::uint64_t ran_before = ran_;
    while (!urgent_.empty()) {
        stack_fresh(runs_);
        const urgent_wakes during(*this); // what they wake is as urgent as they are
        while (!over && ran_ - ran_before < tasks_a_turn) {
            work* const w = urgent_.pop();
            if (!w) break;
            run(*w);
            // And the first of what they start.
            if (work* const first = fresh_.pop()) urgent_.push(*first), stack_fresh(runs_);
            over = turn_is_over(0);
        }
        if (!urgent_.empty()) {
            attention_.set(attention::urgent);
            break;
        }
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
        if (over) serve_timers(); // a limit, perhaps of one of them
        if (ran_ != ran_before) {
            const std::uint64_t now = detail::ticks();
            may_run_until_ = std::max(may_run_until_, now + std::min(now - began, most_turn));
        }
        unsigned at = runs_; // a copy, which stays in a register
        const unsigned last = at + tasks_a_turn;
        while (work* const w = next_ready(++at)) {
            run(*w);
            if (at == last || ((attention_.wanted() || grain_looks_ != 0) && turn_is_over(0))) break;
        }
        runs_ = at;
    }
    if (judges()) {
        if (!grain_->coarse()) {
            if (anything_ready() && grain_->look_back(steps())) set_coarse(true);
        } else if (grain_->end_turn(steps())) {
            set_coarse(false);
        }
    }
    if (!later_.empty()) ready_.append(std::move(later_));
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
    if (grain_looks_ != 0 && budget > operations_unseen) {
        // Nobody waited yet.
        budget_kept_ = budget - operations_unseen;
        context()->operations -= budget_kept_;
        budget = operations_unseen;
    }
    return true;
}

// Whether other loops may take what is ready here.
bool event_loop::shares() const noexcept { return crew_ && crew_->shares() && !late_; }
// Whether it matters how coarse the work is.
bool event_loop::judges() const noexcept { return shares() && !crew_->eager(); }

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

void event_loop::set_coarse(bool coarse) noexcept {
    if (coarse) crew_->start_soon();
    coarse_ = coarse;
}

namespace {

// Of what `next` gives, `most` at most, every other work goes to `given` if it may leave `home`, and the
// others to `kept`. Gives how many may.
template <class Next>
std::size_t give_half(Next next, int most, executor& home, detail::work_list& given,
                      detail::work_list& kept) noexcept {
    std::size_t n = 0;
    for (int i = 0; i < most; ++i) {
        work* const w = next();
        if (!w) break;
        const bool goes = i % 2 == 0 && w->move_to(home);
        (goes ? given : kept).push(*w);
        n += goes ? 1 : 0;
    }
    return n;
}

} // namespace

// Lays half of what is ready, of the first `most`, where those find it who have nothing to do; of what is
// urgent only if one of them is there, or steps are long. False if there was some, and none of it may move.
bool event_loop::share(int most) noexcept {
    detail::work_list given, kept, given_urgent, kept_urgent;
    std::size_t n = 0;
    if (crew_->anybody_idle() || crew_->eager() || grain_->long_steps()) {
        n = give_half([this] { return urgent_.pop(); }, most, *this, given_urgent, kept_urgent);
        kept_urgent.append(std::move(urgent_));
        urgent_ = kept_urgent;
    }
    const auto next = [this]() -> work* {
        for (detail::work_list* const from : {&ready_, &old_, &stack_, &fresh_, &later_})
            if (work* const w = from->pop()) return w;
        return nullptr;
    };
    n += give_half(next, most, *this, given, kept);
    const bool none_may_move = n == 0 && !(kept.empty() && kept_urgent.empty());
    kept.append(std::move(ready_));
    ready_ = kept;
    if (n != 0) lend(std::move(given), std::move(given_urgent), n);
    return !none_may_move;
}

void event_loop::lend(detail::work_list&& given, detail::work_list&& urgent, std::size_t n) noexcept {
    {
        detail::lock_guard guard(shared_lock_);
        shared_.append(std::move(given));
        shared_urgent_.append(std::move(urgent));
        shared_size_.store(shared_size_.load(std::memory_order_relaxed) + n, std::memory_order_seq_cst);
    }
    crew_->work_shared();
}

bool event_loop::give_shared(event_loop& thief) noexcept {
    if (!shares_work()) return false;
    std::size_t n = 0;
    {
        detail::lock_guard guard(shared_lock_);
        const std::size_t there = shared_size_.load(std::memory_order_relaxed);
        const std::size_t wanted =
            &thief == this ? there : std::min<std::size_t>((there + 1) / 2, share_at_once);
        for (; n < wanted; ++n) {
            work* const urgent = shared_urgent_.pop();
            work& w = urgent ? *urgent : *shared_.pop();
            (void)w.move_to(thief); // it may: that was asked before it was put there
            (urgent ? thief.urgent_ : thief.ready_).push(w);
        }
        shared_size_.store(there - n, std::memory_order_seq_cst);
    }
    return n != 0;
}

void event_loop::wake(detail::parker& p) noexcept {
    if (p.home() == this || (crew_ && !crew_->pinned() && works_with(*p.home()) && p.move_to(*this))) {
        woken_->push(p);
        // The running task may go on for long.
        if (coarse_ && crew_->anybody_idle()) attention_.set(attention::look);
    } else p.home()->post(p);
}

void event_loop::start(work& w) noexcept {
    // The task that starts it may go on to compute for long, and whoever is idle need not wait for that.
    if (coarse_ && crew_->anybody_idle() && w.move_to(*this)) {
        detail::work_list one;
        one.push(w);
        lend(std::move(one), {}, 1);
    } else {
        fresh_.push(w);
    }
}
void event_loop::yield(work& w) noexcept { later_.push(w); }

// It goes on as the first of the usual ones; but not each time, since its budget is a new one then, and the
// others have to come to their turn.
void event_loop::interrupted(work& w) noexcept {
    if (++interruptions_ % turn_of_others != 0) ready_.push_front(w);
    else later_.push(w);
}

event_loop* event_loop::current() noexcept { return dynamic_cast<event_loop*>(executor::current()); }

// A limit has come for a task that is ready: it need not wait behind those that only compute.
void event_loop::hurry(work& w) noexcept {
    if (hurries_ == 0) return;
    --hurries_;
    for (detail::work_list* from : {&ready_, &later_, &stack_, &old_})
        if (from->extract(w, most_looked_through)) return urgent_.push(w);
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
    if (crew_ && shares_work() && !crew_->anybody_idle() && !crew_->thief_comes())
        (void)give_shared(*this); // nobody wants it
    const bool did = run_tasks();
    serve_timers();
    if (did || anything_ready()) {
        looks_ = 0;
        if (ring_->wants_poll()) serve_ring(time_point::min());
        return true;
    }
    if (crew_ && crew_->started() && crew_->search(*this)) return true;
    return sleep(until);
}

bool event_loop::sleep(time_point until) {
    const bool crewed = crew_ && crew_->started();
    const auto wanted = [this] {
        return attention_.has(attention::posted) || stop_.load(std::memory_order_seq_cst) ||
               nudged_.load(std::memory_order_seq_cst);
    };
    bool work = false;
    if (crew_ && !detail::single_threaded()) // with one thread, run_main sees it
        quiet_.store(ring_->submitted() == 0 && executor::next_deadline() == time_point::max(),
                     std::memory_order_seq_cst);
    if (crewed) {
        if (!crew_->goes_idle(*this)) {
            quiet_.store(false, std::memory_order_seq_cst);
            return true;
        }
        for (int i = 0; i < spins && !work; ++i) {
            detail::relax();
            work = wanted() || crew_->anything_shared() || ring_->wants_poll();
        }
    }
    sleeping_.store(true, std::memory_order_seq_cst);
    if (work || wanted() || (crewed && crew_->anything_shared())) {
        sleeping_.store(false, std::memory_order_relaxed);
        quiet_.store(false, std::memory_order_seq_cst);
        if (ring_->wants_poll()) serve_ring(time_point::min());
    } else {
        until = std::min(until, executor::next_deadline());
        if (quiet_.load(std::memory_order_relaxed))
            until = std::min(until, crew_->look_for_deadlock(looks_++));
        serve_ring(until);
        sleeping_.store(false, std::memory_order_relaxed);
    }
    nudged_.store(false, std::memory_order_seq_cst);
    serve_timers();
    quiet_.store(false, std::memory_order_seq_cst);
    if (crewed) {
        const bool to_look = crew_->woke_up(*this);
        if (to_look && (anything_ready() || attention_.has(attention::posted, std::memory_order_relaxed)))
            crew_->work_shared();
        return true;
    }
    return anything_ready() || attention_.has(attention::posted, std::memory_order_relaxed);
}

void event_loop::join_crew(detail::crew& c, event_loop& first) {
    crew_ = &c;
    grain_ = std::make_unique<detail::grain>();
    coarse_ = c.eager() && c.size() > 1;
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
    while (give_shared(*this) || take_inbox() || anything_ready()) did = run_tasks() || did;
    late_ = false;
    return did;
}

void event_loop::nudge() noexcept {
    nudged_.store(true, std::memory_order_seq_cst);
    if (sleeping_.exchange(false, std::memory_order_seq_cst)) call();
}

void event_loop::run_in_crew(const std::atomic<bool>& stop) noexcept {
    enter();
    detail::enter_executor entered(*this);
    while (!stop.load(std::memory_order_seq_cst)) {
        (void)turn(time_point::max());
        crew_->report(*this);
    }
    end_multishots();
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
    if (beacon_) rest();
    return ran || did;
}

// Between two turns the beacon stands in for the sleep in the ring, and so do invariant 2 and its flags.
void event_loop::rest() noexcept {
    beacon_->dim(executor::next_deadline());
    sleeping_.store(true, std::memory_order_seq_cst);
    // The kernel has to have what tasks have submitted.
    if (ring_->wants_poll()) ring_->poll();
    if (anything_ready() || attention_.has(attention::posted) || stop_.load(std::memory_order_seq_cst) ||
        ring_->wants_poll())
        beacon_->light();
}

int event_loop::fd() {
    if (ring_->is_guest()) detail::fatal(guest_has_an_owner);
    if (crew_) detail::fatal("event_loop::fd of a loop of a runtime: only a loop of one's own can be polled");
    if (!beacon_) {
        enter();
        auto made = std::make_unique<detail::beacon>();
        ring_->signal_to(made->event_fd());
        {
            detail::lock_guard guard(inbox_lock_);
            beacon_ = std::move(made);
        }
        forget_direct();  // all that is made ready comes through post()
        beacon_->light(); // what is ready already is found by the first turn
    }
    return beacon_->fd();
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
    // With more threads the crew looks whether one of the others might wake a task.
    if (crew_ && crew_->asleep_for_ever()) return true;
    return detail::single_threaded() && !anything_ready() && ring_->in_flight() == 0 &&
           executor::next_deadline() == time_point::max() && !ring_->has_news();
}

bool event_loop::run_main(detail::control& main, duration shutdown_limit) {
    if (executor::current()) detail::fatal("levada::run on a loop's own thread: co_await the task instead");
    enter();
    detail::enter_executor entered(*this);
    bool asleep = false;
    if (crew_) crew_->watch(&main);
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
    return !asleep;
}

// Cancels and joins all that lives here. What is started meanwhile is born cancelled, below the same root.
void event_loop::shut_down(duration limit) {
    const time_point deadline = detail::saturating_add(now(), limit);
    if (crew_) crew_->shutting_down();
    root().cancel(make_error_code(errc::cancelled));
    const auto anything = [this] {
        return take_inbox() || root().live() != 0 || ring_->in_flight() != 0 || anything_ready();
    };
    while (anything() || (crew_ && crew_->stop() && anything())) {
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
