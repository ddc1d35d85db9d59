#include <levada/core/main_task.hpp>

#include <cstring>

namespace levada::detail {
namespace {

void add_line(std::string& out, const control& task) {
    out += "  task ";
    if (const std::string name = task.name(); !name.empty()) out += "\"" + name + "\" ";
    out += "started at ";
    const std::source_location& where = task.where();
    if (where.line() == 0) out += "an unknown place";
    else out += std::string(where.file_name()) + ":" + std::to_string(where.line());
    if (const operation* op = task.waits_for()) {
        out += ", waits for ";
        op->describe(out);
    } else if (task.has(task_flag::unwinding)) {
        out += ", unwinds and waits for its children";
    } else if (task.has(task_flag::idle_wait)) {
        out += ", waits for the tasks of its group";
    } else {
        out += ", ready";
    }
    out += '\n';
}

void add_below(std::string& out, cancel_node& top) {
    // Down and up again through the parents: a tree may be as deep as it likes.
    cancel_node* at = &top;
    tree_entry* below = at->children().front();
    for (;;) {
        if (!below) {
            if (at == &top) return;
            below = at->children().next(*at);
            at = at->parent;
            continue;
        }
        if (below->kind >= node_kind::callback) {
            below = at->children().next(*below);
            continue;
        }
        at = static_cast<cancel_node*>(below);
        if (at->kind == node_kind::task && static_cast<task_node*>(at)->state() != park_state::ended)
            add_line(out, static_cast<control&>(static_cast<task_node&>(*at)));
        below = at->children().front();
    }
}

} // namespace

std::string list_tasks(executor& loop) {
    std::string out;
    add_below(out, loop.root());
    return out;
}

} // namespace levada::detail
