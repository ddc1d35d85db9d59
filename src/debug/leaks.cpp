#include <levada/debug/leaks.hpp>

#include <levada/detail/inspect/task_view.hpp>

namespace levada::debug {

void report_leaks(bool on) noexcept { detail::leaks_are_told.store(on, std::memory_order_relaxed); }

} // namespace levada::debug
