#pragma once

// For cancel_every_operation_test.cpp: the scenes of mutex, once, semaphore, event and latch.

#include "scene.hpp"

#include <cstddef>
#include <optional>
#include <tuple>

#include <levada/sync/event.hpp>
#include <levada/sync/latch.hpp>
#include <levada/sync/mutex.hpp>
#include <levada/sync/once.hpp>
#include <levada/sync/semaphore.hpp>

namespace scenes {

/// What holds something that the attempt waits for: the driver lets go of it.
class lock_scene : public scene {
public:
    task<> attempt() override {
        auto guard = co_await m_.lock();
        CHECK_FALSE(m_.try_lock());
        complete();
    }
    task<> prepare() override {
        held_ = m_.try_lock();
        CHECK(held_);
        co_return;
    }
    task<> trigger() override {
        held_.unlock();
        co_return;
    }
    task<> account() override {
        held_.unlock();
        CHECK(m_.try_lock());
        co_return;
    }

protected:
    mutex m_;
    mutex_guard held_;
};
class select_lock_scene : public lock_scene {
public:
    task<> attempt() override {
        channel<int> never;
        auto s = co_await select(never.recv(), m_.lock(), m_.lock(), after(2h));
        CHECK((s.index() == 1 || s.index() == 2));
        complete();
    }
};
class with_timeout_lock_scene : public lock_scene {
public:
    task<> attempt() override {
        auto r = co_await with_timeout(2h, m_.lock());
        CHECK(r.has_value());
        complete();
    }
};
class or_cancelled_lock_scene : public lock_scene {
public:
    task<> attempt() override {
        auto r = co_await or_cancelled(m_.lock());
        if (r) complete();
        else answered(true);
    }
    bool answers() const override { return true; }
};
/// Called while another call runs, so that it waits. A call of what is done is no operation, and returns.
class once_scene : public lock_scene {
public:
    task<> attempt() override {
        co_await o_.call([this] { ++runs_; });
        complete();
    }
    task<> prepare() override {
        runner_.emplace(spawn([this] { return run_first(); }));
        co_await test_support::until_parked(*runner_);
    }
    task<> trigger() override {
        gate().close();
        auto r = co_await runner_->join();
        CHECK(r.has_value());
    }
    task<> account() override {
        gate().close();
        if (*runner_) std::ignore = co_await runner_->join();
        CHECK(runs_ == 0);
        CHECK(o_.done());
    }
    bool needs_time() const override { return true; }

private:
    task<> run_first() { co_await o_.call(wait_for_gate, gate(), std::ref(ended_)); }
    once o_;
    int runs_ = 0;
    int ended_ = 0;
    std::optional<join_handle<>> runner_;
};

class acquire_scene : public scene {
public:
    task<> attempt() override {
        auto permit = co_await s_.acquire(2);
        CHECK(s_.available() == 0);
        complete();
    }
    task<> trigger() override {
        s_.release();
        co_return;
    }
    task<> account() override {
        if (s_.available() == 1) s_.release();
        CHECK(s_.available() == 2);
        auto all = s_.try_acquire(2);
        CHECK(all); // nobody is left in front
        co_return;
    }

protected:
    semaphore s_{1};
};
class select_acquire_scene : public acquire_scene {
public:
    task<> attempt() override {
        channel<int> never;
        auto s = co_await select(s_.acquire(7), never.recv(), s_.acquire(2), after(2h));
        CHECK(s.index() == 2);
        complete();
    }
};

class event_scene : public scene {
public:
    task<> attempt() override {
        co_await e_.wait();
        complete();
    }
    task<> trigger() override {
        e_.set();
        co_return;
    }

protected:
    event e_;
};
class select_event_scene : public event_scene {
public:
    task<> attempt() override {
        event never;
        auto s = co_await select(never.wait(), e_.wait(), after(2h));
        CHECK(s.index() == 1);
        complete();
    }
};
class latch_scene : public scene {
public:
    task<> attempt() override {
        co_await l_.wait();
        complete();
    }
    task<> trigger() override {
        l_.count_down(2);
        co_return;
    }

protected:
    latch l_{2};
};
/// What has arrived stays, unless it was cancelled before.
class arrive_scene : public latch_scene {
public:
    task<> attempt() override {
        arrived_ = this_task::token().cancelled() ? 0 : 1;
        co_await l_.arrive_and_wait();
        complete();
    }
    task<> trigger() override {
        ++arrived_by_driver_;
        l_.count_down();
        co_return;
    }
    task<> account() override {
        const int left = 2 - arrived_ - arrived_by_driver_;
        CHECK(l_.try_wait() == (left == 0));
        l_.count_down(static_cast<std::size_t>(left)); // too many would terminate
        CHECK(l_.try_wait());
        co_return;
    }

private:
    int arrived_ = 0;
    int arrived_by_driver_ = 0;
};

} // namespace scenes
