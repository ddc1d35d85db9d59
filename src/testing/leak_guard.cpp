#include <levada/testing/leak_guard.hpp>

#include <algorithm>
#include <atomic>

#include <levada/detail/inspect/task_view.hpp>
#include <levada/detail/util/fatal.hpp>

namespace levada::testing {
namespace {

void terminate(const std::string& report) { detail::fatal(report); }
std::atomic<leak_guard::handler> handles{terminate};

} // namespace

leak_guard::leak_guard(const std::source_location& where) : where_(where) {
    detail::see_all_tasks(
        [this](const detail::task_view& t) { before_.emplace_back(t.id, t.started_at.low()); });
    std::sort(before_.begin(), before_.end());
}

std::string leak_guard::leaked() const {
    std::string report;
    detail::task_writer writer;
    detail::see_all_tasks([&](const detail::task_view& t) {
        if (t.what == detail::task_view::doing::running) return;
        if (std::binary_search(before_.begin(), before_.end(), task_id(t.id, t.started_at.low()))) return;
        writer.write(report, t);
    });
    if (report.empty()) return report;
    return "tasks that were started since " + std::string(where_.file_name()) + ":" +
           std::to_string(where_.line()) + " still wait:\n" + report;
}

void leak_guard::check() {
    if (!std::exchange(looks_, false)) return;
    if (const std::string report = leaked(); !report.empty()) handles.load()(report);
}

leak_guard::handler leak_guard::on_leak(handler h) noexcept { return handles.exchange(h); }

} // namespace levada::testing
