#include <levada/core/this_task.hpp>

namespace levada::this_task {

cancel_token token() noexcept { return cancel_token(*detail::current_task("this_task::token").current()); }
void name(std::string name) { detail::current_task("this_task::name").set_name(std::move(name)); }
std::string name() { return detail::current_task("this_task::name").name(); }
bool unwinding() noexcept {
    const detail::control* t = detail::this_thread().task;
    return t && t->has(detail::task_flag::unwinding);
}

} // namespace levada::this_task
