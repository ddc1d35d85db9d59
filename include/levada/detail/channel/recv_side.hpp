#pragma once

#include <chrono>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <levada/base/clock.hpp>
#include <levada/detail/channel/channel_ops.hpp>
#include <levada/detail/channel/channel_state.hpp>
#include <levada/detail/channel/stored.hpp>
#include <levada/detail/engine/blocking.hpp>
#include <levada/detail/engine/doors.hpp>
#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/util/clock_arithmetic.hpp>

namespace levada::detail {

/// The receiving half.
template <class T, class D>
class recv_side {
    using value = stored<T>;

public:
    /// Receives a value: the oldest one buffered, or straight from the sender that waits longest.
    ///
    /// *Suspends* while there is none. *Outcomes*: `result<T>`; once the channel is closed and drained, the
    /// reason it was closed with. *Threads*: any. *Cancel*: withdrawn; no value is lost. *Resumes* on the
    /// task's own executor. An arm of select. (After Go's chan.go.)
    [[nodiscard]] auto recv() const noexcept { return recv_op<T>(state()); }

    /// Receives at least one value, unless closed, and appends up to `max` of those that are there to `out`.
    /// *Outcomes*: `result<std::size_t>`, how many. *Cancel*: withdrawn; no value is lost.
    template <class Alloc>
    [[nodiscard]] auto recv_many(std::vector<value, Alloc>& out, std::size_t max) const
        requires(!std::is_void_v<T>)
    {
        return recv_many_op<T, Alloc>(state(), out, max);
    }

    /// Receives if that is possible at once. *Outcomes*: `errc::empty`; closed: the reason. Never suspends.
    /// *Threads*: any.
    [[nodiscard]] result<T> try_recv() const noexcept {
        schedule_point();
        if (!state()) return fail(errc::empty);
        recv_op<T> r(state());
        work_list ready;
        bool done;
        {
            lock_guard guard(state()->mutex());
            done = state()->recv_now(r, ready);
        }
        asm volatile("" : : "r"(&r) : "memory"); // g++ 12 sees an uninitialized value where there is none
        post_all(ready);
        if (!done) return fail(errc::empty);
        return r.take();
    }

    /// Receives on a plain thread, which sleeps meanwhile. Terminates on a loop's own thread.
    [[nodiscard]] result<T> recv_blocking() const noexcept {
        recv_op<T> r(state());
        return block_on(r, time_point::max());
    }
    /// The same, for `d` at most: `errc::timed_out`.
    template <class Rep, class Period>
    [[nodiscard]] result<T> recv_blocking_for(std::chrono::duration<Rep, Period> d) const noexcept {
        recv_op<T> r(state());
        return block_on(r, saturating_add(std::chrono::steady_clock::now(), to_duration(d)));
    }

private:
    channel_state<value>* state() const noexcept { return static_cast<const D&>(*this).shared(); }
};

} // namespace levada::detail
