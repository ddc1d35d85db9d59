#include <algorithm>
#include <source_location>
#include <string_view>

#include <levada/detail/inspect/task_view.hpp>
#include <levada/detail/task/main_task.hpp>
#include <levada/task/join_handle.hpp>

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

// What began it, perhaps: the others were cancelled for it, and whoever waits for them was not told yet.
void write_failures(std::string& out, task_writer& writer, tree_node& root) {
    constexpr std::size_t most = 10;
    std::size_t n = 0;
    see_failures(root, [&](const failure_view& failed) {
        if (n++ == 0)
            out += "failed before, which was told to nobody yet, as their groups wait for the others:\n";
        if (n > most) return;
        out += "  ";
        writer.write_name(out, failed.name, failed.started_at);
        with_words_of(failed.thrown, [&out](std::string_view words) { (out += ": ") += words; });
        out += '\n';
    });
    if (n > most) out += "  and " + std::to_string(n - most) + " more\n";
}

} // namespace

// Its file and line, and the function if that is wanted.
const std::string& task_writer::place(await_site at, bool with_function) {
    const std::uint64_t key = std::uint64_t(at.low()) << 1 | (with_function ? 1 : 0);
    auto where = std::lower_bound(places_.begin(), places_.end(), key,
                                  [](const auto& known, std::uint64_t k) { return known.first < k; });
    if (where == places_.end() || where->first != key) {
        std::string text;
        const std::source_location found = at.where();
        add_place(text, found);
        if (with_function && found.line() != 0) {
            text += " in ";
            text += coroutine_name(found.function_name());
        }
        where = places_.insert(where, {key, std::move(text)});
    }
    return where->second;
}

void task_writer::write_name(std::string& out, const std::string& name, await_site started_at) {
    out += "task ";
    if (!name.empty()) {
        out += '"';
        out += name;
        out += "\" ";
    }
    out += "started at ";
    out += place(started_at, false);
}

void task_writer::write(std::string& out, const task_view& task) {
    out += "  ";
    write_name(out, task);
    using enum task_view::doing;
    switch (task.what) {
        case running: out += ", runs or is ready to"; break;
        case waiting:
            out += ", waits for ";
            out += task.waits_for;
            break;
        case letting_go: out += ", waits until the kernel has let go of its operation"; break;
        case joining:
            out += task.unwinding ? ", unwinds and waits for its children"
                                  : ", waits for the tasks of its group";
            break;
    }
    if (task.waited_ms != 0) {
        out += ", for ";
        if (task.waited_ms < 10'000) {
            out += std::to_string(task.waited_ms);
            out += " ms";
        } else {
            out += std::to_string(task.waited_ms / 1000);
            out += " s";
        }
    }
    out += '\n';
    for (const await_site at : task.awaits) {
        out += "    at ";
        out += place(at, true);
        out += '\n';
    }
}

void describe_join(std::string& out, const task_block& task) {
    out += "join of the task ";
    if (const std::string name = task.has(task_flag::named) ? task.name() : std::string(); !name.empty()) {
        out += '"';
        out += name;
        out += "\" ";
    }
    out += "started at ";
    add_place(out, task.where());
}

void wakers_of_join(wake_sources& out, const task_block& task) { out.add(task); }

std::string list_tasks(executor& loop) {
    std::string out;
    task_writer writer;
    see_tasks(loop.root(), [&](const task_view& task) { writer.write(out, task); });
    if (out.empty()) return out;
    write_failures(out, writer, loop.root());
    (void)write_deadlocks(out, {&loop.root()});
    return out;
}

} // namespace levada::detail
