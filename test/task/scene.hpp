#pragma once

// For cancel_every_operation_test.cpp: what is needed to try one operation, and the scenes of channels.

#include <support.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <levada/channel/channel.hpp>
#include <levada/channel/select.hpp>
#include <levada/sync/timer.hpp>

namespace scenes {

using namespace levada;
using namespace std::chrono_literals;

class scene {
public:
    virtual ~scene() = default;
    /// Before the attempt, in the task that drives the scene.
    virtual task<> prepare() { co_return; }
    /// Awaits the operation once, and then calls `complete()`.
    virtual task<> attempt() = 0;
    /// Does what the operation waits for.
    virtual task<> trigger() { co_return; }
    /// Checks that nothing was lost or taken twice.
    virtual task<> account() { co_return; }

    /// It waits when it is not ready.
    virtual bool parks() const { return true; }
    /// `trigger` makes it complete.
    virtual bool can_complete() const { return true; }
    /// `trigger` lets time pass.
    virtual bool needs_time() const { return false; }
    /// It answers a cancel by an outcome, once.
    virtual bool answers() const { return false; }

    bool completed() const { return completed_; }
    bool was_answered() const { return answered_; }
    bool began() const { return began_; }
    bool patient() const { return patient_; }
    void be_impatient() { patient_ = false; }

protected:
    void complete() { completed_ = true; }
    void answered(bool yes) { answered_ = yes; }
    void begin() { began_ = true; }
    const channel<void>& gate() const { return gate_; }
    static task<> wait_for_gate(channel<void> gate, int& ended) {
        defer d([&ended] { ++ended; });
        auto r = co_await gate.recv();
        static_cast<void>(r);
    }

private:
    bool completed_ = false;
    bool answered_ = false;
    bool began_ = false;
    bool patient_ = true;
    channel<void> gate_;
};

inline task<> run_attempt(scene& s) { co_await s.attempt(); }

/// The end of an attempt that was cancelled before it could complete.
inline task<> expect_cancelled(scene& s, join_handle<>& h) {
    auto r = co_await h.join();
    CHECK(!s.completed());
    if (s.answers()) CHECK(s.was_answered());
    else CHECK(r.error() == errc::cancelled);
    co_await s.account();
}

inline task<> cancel_before_it_begins(scene& s, bool ready) {
    co_await s.prepare();
    if (ready) co_await s.trigger();
    auto h = spawn(run_attempt, std::ref(s));
    h.cancel();
    co_await expect_cancelled(s, h);
}

inline task<> cancel_while_parked(scene& s, bool trigger_after) {
    co_await s.prepare();
    auto h = spawn(run_attempt, std::ref(s));
    co_await test_support::until_parked(h);
    h.cancel();
    if (trigger_after) co_await s.trigger();
    co_await expect_cancelled(s, h);
}

inline task<> cancel_after_commit(scene& s) {
    s.be_impatient();
    co_await s.prepare();
    auto h = spawn(run_attempt, std::ref(s));
    co_await test_support::until_parked(h);
    co_await s.trigger();
    while (test_support::is_parked(h)) co_await this_task::yield();
    h.cancel(); // it was claimed: resumed or not, it returns
    auto r = co_await h.join();
    static_cast<void>(r); // the attempt may go on to an operation that unwinds it
    CHECK(s.completed());
    co_await s.account();
}

// Scenes of channels. A value is a unique_ptr, of which there is one.

using coin = std::unique_ptr<int>;

inline channel<coin> make_channel(int capacity) {
    return capacity < 0 ? channel<coin>::unbounded() : channel<coin>(static_cast<std::size_t>(capacity));
}

/// The attempt receives; the driver has the coin.
class recv_scene : public scene {
public:
    explicit recv_scene(int capacity) : ch_(make_channel(capacity)) {}
    task<> attempt() override {
        auto r = co_await ch_.recv();
        take(r);
    }
    task<> trigger() override {
        auto sent = ch_.try_send(std::move(hand_));
        CHECK(sent.has_value() == (hand_ == nullptr));
        co_return;
    }
    task<> account() override {
        auto left = ch_.try_recv();
        CHECK(int(hand_ != nullptr) + int(got_ != nullptr) + int(left.has_value()) == 1);
        CHECK(completed() == (got_ != nullptr));
        co_return;
    }

protected:
    void take(result<coin>& r) {
        CHECK(r.has_value());
        if (!r) return;
        got_ = std::move(*r);
        complete();
    }
    channel<coin> ch_;
    coin hand_ = std::make_unique<int>(1);
    coin got_;
};

class recv_many_scene : public recv_scene {
public:
    using recv_scene::recv_scene;
    task<> attempt() override {
        std::vector<coin> out;
        auto n = co_await ch_.recv_many(out, 8);
        CHECK(n.has_value());
        CHECK(out.size() == 1);
        got_ = std::move(out.at(0));
        complete();
    }
};
class recv_nil_scene : public scene {
public:
    task<> attempt() override {
        channel<coin> none = nil;
        auto r = co_await none.recv();
        static_cast<void>(r);
        complete();
    }
    bool can_complete() const override { return false; }
};
class send_nil_scene : public scene {
public:
    task<> attempt() override {
        channel<coin> none = nil;
        auto r = co_await none.send(std::move(hand_));
        static_cast<void>(r);
        complete();
    }
    task<> account() override {
        CHECK(hand_ != nullptr);
        co_return;
    }
    bool can_complete() const override { return false; }

private:
    coin hand_ = std::make_unique<int>(1);
};

/// The attempt sends; the driver receives. A bounded channel is full, with a filler.
template <class T>
class sending_scene : public scene {
public:
    explicit sending_scene(int capacity) : ch_(static_cast<std::size_t>(capacity)) {
        if (capacity > 0) fill(T(new int(0)));
    }
    task<> trigger() override {
        auto r = ch_.try_recv();
        if (r) ++(**r == 0 ? fillers_ : coins_);
        co_return;
    }
    task<> account() override {
        for (auto r = ch_.try_recv(); r; r = ch_.try_recv()) ++(**r == 0 ? fillers_ : coins_);
        CHECK(fillers_ == static_cast<int>(ch_.capacity()));
        CHECK(coins_ == (completed() ? 1 : 0));
        co_return;
    }

protected:
    void fill(T filler) {
        auto sent = ch_.try_send(std::move(filler));
        CHECK(sent);
    }
    channel<T> ch_;
    int fillers_ = 0;
    int coins_ = 0;
};
class send_scene : public sending_scene<coin> {
public:
    using sending_scene::sending_scene;
    task<> attempt() override {
        auto r = co_await ch_.send(std::move(hand_));
        CHECK(r);
        complete();
    }
    task<> account() override {
        CHECK((hand_ == nullptr) == completed()); // untouched where it was not sent
        co_await sending_scene::account();
    }

private:
    coin hand_ = std::make_unique<int>(1);
};
class send_copy_scene : public sending_scene<std::shared_ptr<int>> {
public:
    using sending_scene::sending_scene;
    task<> attempt() override {
        auto r = co_await ch_.send(mine_);
        CHECK(r);
        complete();
    }
    task<> account() override {
        co_await sending_scene::account();
        CHECK(mine_.use_count() == 1); // the copy has gone with who received it, or with the attempt
    }

private:
    const std::shared_ptr<int> mine_ = std::make_shared<int>(1);
};
class emplace_scene : public sending_scene<coin> {
public:
    using sending_scene::sending_scene;
    task<> attempt() override {
        auto r = co_await ch_.emplace(new int(1));
        CHECK(r);
        complete();
    }
};
class reserve_scene : public sending_scene<coin> {
public:
    reserve_scene() : sending_scene(1) {}
    task<> attempt() override {
        auto r = co_await ch_.reserve();
        CHECK(r);
        auto full = ch_.try_send(std::make_unique<int>(5));
        CHECK(full.error() == errc::full); // the place is ours
        complete();
    }
    task<> account() override {
        co_await trigger();
        CHECK(fillers_ == 1);
        auto sent = ch_.try_send(std::make_unique<int>(1)); // the place is free again
        CHECK(sent.has_value());
    }
};

class select_recv_scene : public recv_scene {
public:
    select_recv_scene() : recv_scene(0) {}
    task<> attempt() override {
        auto s = co_await select(other_.recv(), ch_.recv(), other_.recv(), after(2h));
        CHECK(s.index() == 1);
        take(get<1>(s));
    }

private:
    channel<coin> other_;
};
class select_in_order_scene : public recv_scene {
public:
    select_in_order_scene() : recv_scene(1) {}
    task<> attempt() override {
        auto s = co_await select_in_order(other_.recv(), ch_.recv(), ch_.recv());
        CHECK(s.index() == 1);
        take(get<1>(s));
    }

private:
    channel<coin> other_;
};
class select_send_scene : public sending_scene<coin> {
public:
    select_send_scene() : sending_scene(0) {}
    task<> attempt() override {
        channel<int> other;
        auto s = co_await select(other.recv(), ch_.send(std::move(hand_)));
        CHECK(s.index() == 1);
        complete();
    }
    task<> account() override {
        CHECK((hand_ == nullptr) == completed());
        co_await sending_scene::account();
    }

private:
    coin hand_ = std::make_unique<int>(1);
};
class select_range_scene : public recv_scene {
public:
    select_range_scene() : recv_scene(0) {}
    task<> attempt() override {
        using arm = decltype(ch_.recv());
        std::vector<arm> arms;
        arms.push_back(other_.recv());
        arms.push_back(ch_.recv());
        arms.push_back(other_.recv());
        auto s = co_await select_range(arms);
        CHECK(s.position == 1);
        take(s.outcome);
    }

private:
    channel<coin> other_;
};

class with_timeout_scene : public recv_scene {
public:
    with_timeout_scene() : recv_scene(0) {}
    task<> attempt() override {
        auto r = co_await with_timeout(2h, ch_.recv());
        take(r);
    }
};
class with_token_scene : public recv_scene {
public:
    with_token_scene() : recv_scene(0) {}
    task<> attempt() override {
        auto r = co_await with_token(src_.token(), ch_.recv());
        take(r);
    }

private:
    cancel_source src_;
};
class with_timeout_call_scene : public recv_scene {
public:
    with_timeout_call_scene() : recv_scene(0) {}
    task<> attempt() override {
        auto body = [this]() -> task<result<coin>> {
            auto r = co_await ch_.recv();
            if (r) got_ = std::move(*r); // kept, though a cancel of the caller may follow
            co_return got_ ? result<coin>(std::make_unique<int>(2)) : result<coin>(fail(errc::closed));
        };
        auto r = co_await with_timeout(2h, body);
        CHECK(r.has_value());
        complete();
    }
};
class or_cancelled_scene : public recv_scene {
public:
    or_cancelled_scene() : recv_scene(0) {}
    task<> attempt() override {
        auto r = co_await or_cancelled(ch_.recv());
        if (r) take(*r);
        else answered(true);
    }
    bool answers() const override { return true; }
};
class or_throw_scene : public recv_scene {
public:
    or_throw_scene() : recv_scene(0) {}
    task<> attempt() override {
        got_ = co_await or_throw(ch_.recv());
        complete();
    }
};

} // namespace scenes
