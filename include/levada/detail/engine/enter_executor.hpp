#pragma once

#include <levada/base/executor.hpp>
#include <levada/detail/engine/thread_context.hpp>
#include <levada/detail/util/fatal.hpp>
#include <levada/detail/util/owner_section.hpp>

namespace levada::detail {

/// Marks the thread as running `on` for a scope.
class [[nodiscard]] enter_executor {
public:
    explicit enter_executor(executor& on) noexcept : on_(on), saved_(this_thread()) {
        watch_for_exit();
        owner_section::come_here();
        this_thread() = {&on, nullptr, 0, coarse_ms(on.now()), 0, &on.calls()};
        on.context_ = &this_thread();
    }
    ~enter_executor() {
        this_thread() = saved_;
        on_.context_ = saved_.on == &on_ ? &this_thread() : nullptr;
    }
    enter_executor(const enter_executor&) = delete;
    enter_executor& operator=(const enter_executor&) = delete;

private:
    executor& on_;
    thread_context saved_;
};

} // namespace levada::detail
