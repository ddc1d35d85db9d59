#include <levada/debug/dump.hpp>

#include <ostream>
#include <string>

#include <levada/detail/inspect/task_view.hpp>

namespace levada::debug {

std::size_t dump_tasks(std::ostream& out) {
    detail::task_writer writer;
    std::size_t n = 0;
    std::string text;
    detail::see_all_tasks([&](const detail::task_view& task) {
        ++n;
        text.clear();
        writer.write(text, task);
        out << text;
    });
    out << n << (n == 1 ? " task\n" : " tasks\n");
    (void)find_deadlocks(out);
    out.flush();
    return n;
}

std::size_t find_deadlocks(std::ostream& out) {
    const detail::all_roots roots;
    std::string text;
    const std::size_t n = detail::write_deadlocks(text, roots.get());
    out << text;
    return n;
}

} // namespace levada::debug
