#pragma once

#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#include <levada/detail/channel/channel_state.hpp>
#include <levada/detail/channel/stored.hpp>
#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/doors.hpp>
#include <levada/detail/engine/promise.hpp>

namespace levada {

template <class T>
class permit;

namespace detail {

/// Why a send, or a reservation, was not done.
[[nodiscard]] inline std::error_code send_failure(channel_status s) noexcept {
    return s == channel_status::no_memory ? std::make_error_code(std::errc::not_enough_memory)
                                          : make_error_code(errc::closed);
}

/// Awaiting one channel operation: tries and, if it must, waits, in one go under the channel's lock.
template <class D>
class channel_awaitable : public awaitable_tag {
public:
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class P>
    LEVADA_INTERNAL_AWAIT [[nodiscard]] bool await_suspend(std::coroutine_handle<P> h) noexcept {
        auto& self = static_cast<D&>(*this);
        promise_base& frame = h.promise();
        task_block& task = frame.owner();
        if (self.is_nil() || task.is_cancelled()) [[unlikely]]
            return wait_for(task, frame.frame(), self);
        if constexpr (requires { self.commit_alone(); }) {
            using enum fast_try;
            if (owner_section::alone()) [[likely]] {
                const fast_try found = self.commit_alone();
                if (found == committed) return task.completed_at_once(frame.frame());
                if (found == must_wait) {
                    park_alone(frame);
                    return true;
                }
            }
        }
        return commit_or_park(frame);
    }

private:
    LEVADA_INTERNAL_HOT void park_alone(promise_base& frame) noexcept {
        auto& self = static_cast<D&>(*this);
        task_block& task = frame.owner();
        self.who = &task;
        self.index = 0;
        (void)self.link();
        task.parks(frame.frame(), self);
        task.park_alone();
    }
    [[nodiscard, gnu::noinline, gnu::flatten]] bool commit_or_park(promise_base& frame) noexcept {
        auto& self = static_cast<D&>(*this);
        task_block& task = frame.owner();
        if constexpr (requires { self.commit_alone(); }) {
            using enum fast_try;
            if (owner_section::enter_outer()) {
                const fast_try found = self.commit_alone();
                if (found == must_wait) park_alone(frame);
                owner_section::leave_outer();
                if (found == committed) return task.completed_at_once(frame.frame());
                if (found == must_wait) return true; // nothing of the operation is touched any more
            }
        }
        if (trace_sink* const t = tracing()) [[unlikely]]
            t->awaits(task, self);
        lock& l = *self.shared_lock();
        work_list ready;
        l.acquire();
        if (self.try_commit(ready)) {
            l.release();
            post_all(ready);
            return task.completed_at_once(frame.frame());
        }
        self.who = &task;
        self.index = 0;
        (void)self.link();
        task.parks(frame.frame(), self);
        task.park();
        // A cancel between the look above and the park claims the park; one before it is seen here.
        if (task.is_cancelled() && task.unpark()) [[unlikely]] {
            task.set_cancelled();
            executor& home = *task.home();
            l.release();
            home.post(task);
            return true;
        }
        l.release();
        return true;
    }
};

/// `co_await ch.recv()`, and the same as an arm.
template <class T>
class [[nodiscard]] recv_op final : public recv_arm<stored<T>>, public channel_awaitable<recv_op<T>> {
    using base = recv_arm<stored<T>>;

public:
    using outcome = result<T>;
    using base::base;
    [[nodiscard]] LEVADA_INTERNAL_HOT fast_try commit_alone() noexcept {
        return static_cast<channel_state<stored<T>>*>(this->on_)->recv_alone(*this);
    }
    [[nodiscard]] LEVADA_INTERNAL_HOT bool may_commit() const noexcept {
        return this->on_ && static_cast<channel_state<stored<T>>*>(this->on_)->may_recv();
    }
    outcome await_resume() noexcept { return take(); }
    outcome take() noexcept {
        if (this->status != channel_status::done) return fail(this->on_->reason());
        if constexpr (std::is_void_v<T>) return {};
        else return std::move(this->value());
    }
};

template <class T>
class send_op_base : public send_arm<stored<T>> {
public:
    using outcome = result<void>;
    using send_arm<stored<T>>::send_arm;
    [[nodiscard]] LEVADA_INTERNAL_HOT fast_try commit_alone() noexcept {
        return static_cast<channel_state<stored<T>>*>(this->on_)->send_alone(*this);
    }
    [[nodiscard]] LEVADA_INTERNAL_HOT bool may_commit() const noexcept {
        return this->on_ && static_cast<channel_state<stored<T>>*>(this->on_)->may_send();
    }
    outcome await_resume() noexcept { return take(); }
    outcome take() noexcept {
        if (this->status != channel_status::done) return fail(send_failure(this->status));
        return {};
    }

protected:
    ~send_op_base() = default;
};

/// `co_await ch.send(std::move(v))`: the value stays with the caller until the send commits.
template <class T>
class [[nodiscard]] send_op final : public send_op_base<T>, public channel_awaitable<send_op<T>> {
public:
    send_op(channel_base* on, stored<T>* value) noexcept : send_op_base<T>(on, value) {}
    send_op(send_op&& other) noexcept : send_op_base<T>(other.on_, other.value_) {}
};

/// `co_await ch.send(v)` and `ch.emplace(args...)`: the value is built here, before the sender parks.
template <class T>
class [[nodiscard]] send_value_op final : public send_op_base<T>, public channel_awaitable<send_value_op<T>> {
public:
    template <class... A>
    explicit send_value_op(std::in_place_t, channel_base* on, A&&... args)
        : send_op_base<T>(on, nullptr), own_(std::forward<A>(args)...) {
        this->value_ = &own_;
    }
    send_value_op(send_value_op&& other) noexcept
        : send_op_base<T>(other.on_, nullptr), own_(std::move(other.own_)) {
        this->value_ = &own_;
    }

private:
    stored<T> own_;
};

/// `co_await ch.reserve()`
template <class T>
class [[nodiscard]] reserve_op final : public channel_arm, public channel_awaitable<reserve_op<T>> {
public:
    using outcome = result<permit<T>>;
    explicit reserve_op(channel_base* on) noexcept : channel_arm(on, channel_role::reservation) {}
    reserve_op(reserve_op&& other) noexcept : channel_arm(other.on_, channel_role::reservation) {}
    ~reserve_op() {
        // Committed, but nobody asked: the task unwound through an outer select, or the outcome was dropped.
        if (status == channel_status::done) state()->free_reserved();
    }
    bool try_commit(work_list& ready) noexcept override {
        if (!on_) return false;
        if (on_->capacity() == 0) { // there is no room to reserve
            status = channel_status::closed;
            return true;
        }
        return state()->reserve_now(*this, ready);
    }
    outcome await_resume() noexcept { return take(); }
    outcome take() noexcept {
        if (on_->capacity() == 0) return fail(std::make_error_code(std::errc::operation_not_supported));
        if (const auto ended = std::exchange(status, channel_status::open); ended != channel_status::done)
            return fail(send_failure(ended));
        return permit<T>(*state());
    }

private:
    channel_state<stored<T>>* state() const noexcept { return static_cast<channel_state<stored<T>>*>(on_); }
};

/// `co_await ch.recv_many(out, max)`
template <class T, class Alloc>
class [[nodiscard]] recv_many_op final : public recv_arm<T>,
                                         public channel_awaitable<recv_many_op<T, Alloc>> {
public:
    using outcome = result<std::size_t>;
    recv_many_op(channel_base* on, std::vector<T, Alloc>& out, std::size_t max)
        : recv_arm<T>(on), out_(&out), max_(max) {
        make_room(1); // nothing is taken that cannot be kept
    }
    recv_many_op(recv_many_op&& other) noexcept
        : recv_arm<T>(other.on_), out_(other.out_), max_(other.max_) {}

    bool try_commit(work_list& ready) noexcept override {
        if (!this->on_) return false;
        this->hold(); // to take more, when it is resumed
        return max_ == 0 || state()->recv_now(*this, ready);
    }
    outcome await_resume() { return take(); }
    outcome take() {
        if (max_ == 0) return std::size_t(0);
        if (this->status != channel_status::done) return fail(this->on_->reason());
        out_->push_back(std::move(this->value()));
        try {
            make_room(state()->size());
        } catch (const std::bad_alloc&) {
            // What fits is taken, the rest stays in the channel.
        }
        std::size_t n = 1;
        work_list ready;
        {
            lock_guard guard(state()->mutex());
            while (n < max_ && out_->size() < out_->capacity()) {
                recv_arm<T> one(this->on_);
                const bool took = state()->take_now(one, ready);
                asm volatile("" : : "r"(&one) : "memory"); // as in try_recv
                if (!took) break;
                out_->push_back(std::move(one.value()));
                ++n;
            }
        }
        post_all(ready);
        return n;
    }

private:
    channel_state<T>* state() const noexcept { return static_cast<channel_state<T>*>(this->on_); }
    void make_room(std::size_t there) {
        if (max_ == 0) return;
        const std::size_t wanted = out_->size() + (there < max_ ? there : max_);
        if (wanted > out_->capacity())
            out_->reserve(wanted > 2 * out_->capacity() ? wanted : 2 * out_->capacity());
    }
    std::vector<T, Alloc>* out_;
    std::size_t max_;
};

} // namespace detail
} // namespace levada
