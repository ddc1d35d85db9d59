// Every operation there is, cancelled at every moment: before it begins, while it is parked, after it has
// committed but before its task was resumed, and right before what it waits for happens. Each time it has
// either completed or been cancelled, nothing is consumed or lost, and no frame stays.
//
// To add an operation: write a scene, and give it a line in `rows()` at the end.

#include "scene.hpp"
#include "sync_scenes.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>
#include <levada/sync/wait_group.hpp>

using namespace levada;
using namespace std::chrono_literals;
using namespace scenes;

namespace {

/// `sleep_for`, and all that waits for time: two hours, or a moment where it has to complete.
class timer_scene : public scene {
public:
    task<> attempt() override {
        co_await sleep_for(patient() ? 2h : duration(1ms));
        complete();
    }
    task<> trigger() override { co_await sleep_for(1ms); }
    bool needs_time() const override { return true; }
};
class at_scene : public timer_scene {
public:
    task<> attempt() override {
        co_await sleep_until(now() + (patient() ? 2h : duration(1ms)));
        complete();
    }
};
class select_timer_scene : public timer_scene {
public:
    task<> attempt() override {
        channel<int> never = nil;
        auto s = co_await select(never.recv(), after(patient() ? 2h : duration(1ms)));
        CHECK(s.index() == 1);
        complete();
    }
};

class token_scene : public scene {
public:
    task<> attempt() override {
        auto why = co_await src_.token().done();
        CHECK(why == errc::cancelled);
        complete();
    }
    task<> trigger() override {
        src_.cancel();
        co_return;
    }

private:
    cancel_source src_;
};

/// `done()` of the task's own token answers its cancel.
class own_token_scene : public scene {
public:
    task<> attempt() override {
        auto why = co_await this_task::token().done();
        answered(why == errc::cancelled);
        co_await this_task::yield();
        complete();
    }
    bool answers() const override { return true; }
    bool can_complete() const override { return false; }
};

class join_scene : public scene {
public:
    task<> attempt() override {
        auto r = co_await worker_->join();
        CHECK(r.has_value());
        CHECK(*r == 3);
        complete();
    }
    task<> prepare() override {
        worker_.emplace(spawn([g = gate()]() -> task<int> {
            auto open = co_await g.recv();
            static_cast<void>(open);
            co_return 3;
        }));
        co_return;
    }
    task<> trigger() override {
        gate().close();
        while (*worker_ && !worker_->done()) co_await this_task::yield();
    }
    task<> account() override {
        gate().close();
        if (*worker_) { // still to be joined
            CHECK(!completed());
            auto r = co_await worker_->join();
            CHECK(r.has_value());
        }
    }

private:
    std::optional<join_handle<int>> worker_;
};

class group_wait_scene : public scene {
public:
    task<> attempt() override {
        task_group g;
        g.go(wait_for_gate, gate(), std::ref(ended_));
        co_await g.wait();
        CHECK(ended_ == 1);
        complete();
    }
    task<> trigger() override {
        gate().close();
        co_return;
    }
    task<> account() override {
        CHECK(ended_ == 1); // joined, in whatever way
        co_return;
    }

private:
    int ended_ = 0;
};

class with_group_scene : public group_wait_scene {
public:
    task<> attempt() override {
        co_await with_group([this](task_group& g) -> task<> {
            g.go(wait_for_gate, gate(), std::ref(ended_));
            auto open = co_await gate().recv();
            static_cast<void>(open);
        });
        complete();
    }
    task<> account() override {
        CHECK(ended_ == 1);
        co_return;
    }

private:
    int ended_ = 0;
};

/// `g.start`: in a group that is full.
class start_scene : public scene {
public:
    task<> attempt() override {
        task_group g;
        g.limit(1);
        g.go(wait_for_gate, gate(), std::ref(ended_));
        co_await g.start([this] { ++started_; });
        complete();
        co_await g.wait();
    }
    task<> trigger() override {
        gate().close();
        co_return;
    }
    task<> account() override {
        CHECK(ended_ == 1);
        CHECK(started_ == (completed() ? 1 : 0));
        co_return;
    }

private:
    int ended_ = 0;
    int started_ = 0;
};

class wait_group_scene : public scene {
public:
    task<> attempt() override {
        co_await wg_.wait();
        complete();
    }
    task<> prepare() override {
        wg_.add(1);
        co_return;
    }
    task<> trigger() override {
        wg_.done();
        co_return;
    }

private:
    wait_group wg_;
};
class select_wait_group_scene : public wait_group_scene {
public:
    task<> attempt() override {
        channel<int> never = nil;
        wait_group empty;
        wait_group full;
        full.add();
        auto s = co_await select(never.recv(), full.wait(), gate().recv(), after(2h));
        CHECK(s.index() == 2);
        complete();
    }
    task<> trigger() override {
        gate().close();
        co_return;
    }
};

/// yield never parks: it is ready at once, and commits.
class yield_scene : public scene {
public:
    task<> attempt() override {
        begin();
        co_await this_task::yield();
        complete();
    }
    bool parks() const override { return false; }
};

struct row {
    const char* name;
    std::function<std::unique_ptr<scene>()> make;
};
template <class S, class... A>
row line(const char* name, A... args) {
    return {name, [args...] { return std::make_unique<S>(args...); }};
}

std::vector<row> rows() {
    return {
        line<recv_scene>("recv on a rendezvous", 0),
        line<recv_scene>("recv on a bounded channel", 1),
        line<recv_scene>("recv on an unbounded channel", -1),
        line<recv_nil_scene>("recv on nil"),
        line<recv_many_scene>("recv_many on a rendezvous", 0),
        line<recv_many_scene>("recv_many on a bounded channel", 4),
        line<send_scene>("send by move on a rendezvous", 0),
        line<send_scene>("send by move on a full channel", 1),
        line<send_copy_scene>("send by copy on a rendezvous", 0),
        line<send_copy_scene>("send by copy on a full channel", 1),
        line<emplace_scene>("emplace on a rendezvous", 0),
        line<emplace_scene>("emplace on a full channel", 1),
        line<send_nil_scene>("send on nil"),
        line<reserve_scene>("reserve on a full channel"),
        line<select_recv_scene>("select over receives"),
        line<select_send_scene>("select over a send and a receive"),
        line<select_in_order_scene>("select_in_order"),
        line<select_range_scene>("select_range"),
        line<with_timeout_scene>("with_timeout over recv"),
        line<with_token_scene>("with_token over recv"),
        line<with_timeout_call_scene>("with_timeout over a call"),
        line<or_cancelled_scene>("or_cancelled over recv"),
        line<or_throw_scene>("or_throw over recv"),
        line<timer_scene>("sleep_for"),
        line<at_scene>("sleep_until"),
        line<select_timer_scene>("after, as an arm"),
        line<token_scene>("done of a token"),
        line<own_token_scene>("done of the task's own token"),
        line<join_scene>("join"),
        line<group_wait_scene>("task_group::wait"),
        line<with_group_scene>("with_group"),
        line<start_scene>("task_group::start"),
        line<wait_group_scene>("wait_group::wait"),
        line<select_wait_group_scene>("select over wait_groups"),
        line<lock_scene>("mutex::lock"),
        line<select_lock_scene>("select over a lock"),
        line<with_timeout_lock_scene>("with_timeout over a lock"),
        line<or_cancelled_lock_scene>("or_cancelled over a lock"),
        line<once_scene>("once::call"),
        line<acquire_scene>("semaphore::acquire"),
        line<select_acquire_scene>("select over acquires"),
        line<event_scene>("event::wait"),
        line<select_event_scene>("select over events"),
        line<latch_scene>("latch::wait"),
        line<arrive_scene>("latch::arrive_and_wait"),
        line<yield_scene>("yield"),
    };
}

} // namespace

TEST_TASK_STAGED("an operation cancelled before it begins does nothing") {
    for (const row& r : rows()) {
        INFO(r.name);
        auto s = r.make();
        co_await cancel_before_it_begins(*s, false);
    }
}

TEST_TASK_STAGED("an operation cancelled before it begins does nothing though it is ready") {
    for (const row& r : rows()) {
        INFO(r.name);
        auto s = r.make();
        if (s->can_complete() && !s->needs_time()) co_await cancel_before_it_begins(*s, true);
    }
}

TEST_TASK_STAGED("an operation cancelled while it is parked has had no effect") {
    for (const row& r : rows()) {
        INFO(r.name);
        auto s = r.make();
        if (s->parks()) co_await cancel_while_parked(*s, false);
    }
}

TEST_TASK_STAGED("an operation cancelled while it is parked takes nothing that comes afterwards") {
    for (const row& r : rows()) {
        INFO(r.name);
        auto s = r.make();
        if (s->parks() && s->can_complete() && !s->needs_time()) co_await cancel_while_parked(*s, true);
    }
}

TEST_TASK_STAGED("an operation cancelled after it has committed returns to its caller") {
    for (const row& r : rows()) {
        INFO(r.name);
        auto s = r.make();
        // with_group has no one moment of commit: a cancel between its tasks' last steps may cut one of them.
        if (std::string_view(r.name) == "with_group") continue;
        if (s->parks() && s->can_complete()) co_await cancel_after_commit(*s);
    }
}

TEST_TASK_STAGED("a yield cancelled while it stands in the queue returns to its caller") {
    yield_scene s;
    auto h = spawn(&scene::attempt, static_cast<scene*>(&s));
    while (!s.began()) co_await this_task::yield();
    h.cancel();
    auto r = co_await h.join();
    CHECK(r.has_value());
    CHECK(s.completed());
}
