#include <levada/detail/engine/thread_context.hpp>

#include <atomic>

#include <levada/base/executor.hpp>
#include <levada/detail/engine/schedule_point.hpp>

namespace levada {
namespace detail {

thread_context& this_thread() noexcept {
    thread_local thread_context context;
    return context;
}

// Relaxed where it is asked: a loop's own thread has counted it.
void reach_schedule_point() noexcept {
    const thread_context& here = this_thread();
    if (here.on && here.task && here.callbacks == 0) here.on->schedule_point();
}

unsigned thread_number() noexcept {
    static std::atomic<unsigned> threads{0};
    thread_local constinit unsigned mine = 0;
    if (mine == 0) mine = threads.fetch_add(1, std::memory_order_relaxed) + 1; // relaxed: any number will do
    return mine;
}

} // namespace detail

executor* executor::current() noexcept { return detail::this_thread().on; }

} // namespace levada
