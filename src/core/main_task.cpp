#include <levada/core/main_task.hpp>

#include <cstring>
#include <source_location>
#include <string_view>

namespace levada::detail {
namespace {

void add_place(std::string& out, const std::source_location& where) {
    if (where.line() == 0) out += "an unknown place";
    else out += std::string(where.file_name()) + ":" + std::to_string(where.line());
}

/// The name of a coroutine as it was written. g++ tells that of a function of its own making: for
/// `task<> f(int)` it is `void f(f(int)::_Z1fi.Frame*)`.
std::string coroutine_name(std::string_view told) {
    const std::size_t made = told.rfind("::_Z");
    if (made == told.npos || !told.ends_with("Frame*)") || !told.starts_with("void "))
        return std::string(told);
    for (std::size_t open = told.find('('); open < made; open = told.find('(', open + 1)) {
        const std::string_view name = told.substr(5, open - 5);
        const std::string_view inside = told.substr(open + 1, made - open - 1);
        const std::string_view function = inside.substr(0, inside.find('('));
        if (name.ends_with(function)) return std::string(name) + std::string(inside.substr(function.size()));
        if (name.ends_with(std::string(inside) + "::operator()")) return std::string(name);
    }
    return std::string(told);
}

void add_await(std::string& out, await_site at) {
    const std::source_location where = at.where();
    out += "    at ";
    add_place(out, where);
    if (where.line() != 0) {
        out += " in ";
        out += coroutine_name(where.function_name());
    }
    out += '\n';
}

void add_line(std::string& out, const control& task, bool all_still) {
    out += "  task ";
    if (const std::string name = task.name(); !name.empty()) out += "\"" + name + "\" ";
    out += "started at ";
    add_place(out, task.where());
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
    // The awaits, the innermost first.
    if (!all_still) return;
    const await_link* l = nullptr;
    if (task.leaf()) {
        add_await(out, task.awaits_at());
        l = task.leaf().promise().link();
    } else if (task.has(task_flag::idle_wait) && task.current() != &task) {
        l = &static_cast<const boundary*>(static_cast<const scope_node*>(task.current())->site)->link();
    }
    for (; l; l = l->frame->link()) add_await(out, l->at);
}

void add_below(std::string& out, cancel_node& top, bool all_still) {
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
            add_line(out, static_cast<control&>(static_cast<task_node&>(*at)), all_still);
        below = at->children().front();
    }
}

} // namespace

std::string list_tasks(executor& loop, bool all_still) {
    std::string out;
    add_below(out, loop.root(), all_still);
    return out;
}

} // namespace levada::detail
