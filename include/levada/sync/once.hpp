#pragma once

#include <atomic>
#include <concepts>
#include <functional>
#include <source_location>
#include <type_traits>
#include <utility>

#include <levada/detail/task/gcc12.hpp>
#include <levada/sync/mutex.hpp>
#include <levada/task/spawn.hpp>

namespace levada {

/// Go's sync.Once: something is done once, by the first who asks, and the others wait until it is done.
///
/// Neither copied nor moved; destroying it while a call runs or waits terminates.
class once {
public:
    explicit once(const std::source_location& where = std::source_location::current()) noexcept
        : turn_(where), where_(where) {}
    ~once();
    once(const once&) = delete;
    once& operator=(const once&) = delete;

    /// `co_await o.call(f, args...)` runs `f(args...)`, a coroutine or a plain callable, if nobody has done
    /// so to the end; what it gives is dropped.
    ///
    /// It is a task and no operation: no arm of select, and `with_timeout` takes a function that awaits it.
    /// *Suspends* while another one runs; the next in line runs its own `f` if that one threw or was
    /// cancelled, as with std::call_once. Once done it returns at once. *Outcomes*: throws what `f` threw,
    /// to the caller whose `f` it was. *Threads*: any. *Cancel*: unwinds the wait, or `f` if it runs it.
    /// A call from within `f` waits for ever.
    template <class F, class... A>
    [[nodiscard]] task<> call(F&& f, A&&... args) {
        detail::refuse_destroyed_twice<F>();
        detail::check_startable<F, A...>();
        return run<std::decay_t<F>, std::decay_t<A>...>(*this, std::forward<F>(f), std::forward<A>(args)...);
    }
    /// Whether it has been done. *Threads*: any; what was done before is seen.
    [[nodiscard]] bool done() const noexcept { return done_.load(std::memory_order_acquire); }

private:
    template <class F, class... A>
    static task<> run(once& self, F f, A... args) {
        if (self.done()) co_return;
        const auto turn = co_await self.turn_.lock(); // let go on every way out: the next one looks then
        if (self.done()) co_return;
        if constexpr (detail::is_task<std::invoke_result_t<F, A...>>)
            static_cast<void>(co_await std::invoke(std::move(f), std::move(args)...));
        else static_cast<void>(std::invoke(std::move(f), std::move(args)...));
        self.done_.store(true, std::memory_order_release);
    }

    mutex turn_; // whoever holds it runs, or is about to look whether it is done
    std::atomic<bool> done_{false};
    std::source_location where_;
};

} // namespace levada
