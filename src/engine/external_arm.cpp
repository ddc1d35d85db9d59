#include <levada/detail/engine/external_arm.hpp>

namespace levada::detail {

// As a completion of the kernel: the claim decides what it means.
void external_arm::run() noexcept {
    auto& task = static_cast<task_block&>(*who);
    never_left();
    work_list ready;
    if (!task.claim(index, ready) && !task.claim_cancelled(index)) late_ = true;
    post_all(ready);
    if (task.kernel_all_back()) task.home()->post(task);
}

} // namespace levada::detail
