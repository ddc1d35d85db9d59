#include <levada/task/this_task.hpp>

#include <levada/detail/cancel/token_access.hpp>
#include <levada/detail/engine/thread_context.hpp>

namespace levada::this_task {

cancel_token token() noexcept {
    return detail::token_access::refer_to(*detail::current_task("this_task::token").current());
}
void name(std::string name) { detail::current_task("this_task::name").set_name(std::move(name)); }
std::string name() { return detail::current_task("this_task::name").name(); }
bool unwinding() noexcept {
    const detail::task_block* t = detail::this_thread().task;
    return t && t->has(detail::task_flag::unwinding);
}

} // namespace levada::this_task
