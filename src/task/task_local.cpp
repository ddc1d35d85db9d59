#include <levada/task/task_local.hpp>

namespace levada::detail {

// Without locks: what is above a running task stays as it is while the task hangs there, and a region's value
// was put there before anything was started in it.
const void* find_task_local(const void* key) noexcept {
    for (const tree_node* n = current_task("task_local::get").current(); n; n = n->parent) {
        if (n->kind == node_kind::task || n->kind == node_kind::source) continue;
        const auto& attached = static_cast<const region_node*>(n)->attached;
        if (!attached) continue;
        if (const void* value = attached->value_of(key)) return value;
    }
    return nullptr;
}

} // namespace levada::detail
