#include <levada/task/foreign.hpp>

#include <system_error>
#include <utility>

#include <levada/detail/engine/enter_executor.hpp>

namespace levada::detail {

foreign_arm::proxy foreign_arm::make_proxy(foreign_arm&) { co_return; }

void foreign_arm::check() {
    if (thrown_) std::rethrow_exception(thrown_);
    if (abandoned_)
        throw std::system_error(std::make_error_code(std::errc::operation_canceled),
                                "the awaitable that was awaited has destroyed its continuation");
}

executor& foreign_wait::here() noexcept {
    executor* const loop = executor::current();
    if (!loop)
        fatal(
            "a coroutine that is not levada's awaits an operation of levada outside of a loop: let it begin, "
            "and go on, in loop.post([...] { ... }) or another function that runs on the loop");
    return *loop;
}

foreign_wait::~foreign_wait() {
    if (!handle_) return;
    const bool waited = std::exchange(line_->waits, nullptr) != nullptr;
    if (handle_.done()) return; // its loop may be gone
    if (waited) {
        handle_.cancel();
        // While the task waits for the kernel, that may write to memory that goes with the coroutine.
        executor& loop = *waiting_task().home();
        if (executor::current() == &loop) {
            waiting_task().take_back_now();
        } else if (loop.on_own_thread()) { // between two turns
            const enter_executor entered(loop);
            waiting_task().take_back_now();
        }
    }
    handle_.detach(); // it ends by itself
}

} // namespace levada::detail
