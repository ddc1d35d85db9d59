#include <levada/detail/inspect/task_view.hpp>

#include <chrono>

#include <levada/base/executor.hpp>
#include <levada/detail/engine/promise.hpp>
#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/thread_context.hpp>

namespace levada::detail {
namespace {

// How many tasks are read while the lock of their parent is held.
constexpr unsigned at_once = 32;
// A region that a task is in hangs among the newest below it.
constexpr int newest = 64;

void add_chain(std::vector<await_site>& out, const await_link* l) {
    for (; l; l = l->frame->link()) out.push_back(l->at);
}

void look_at_park(const task_block& task, task_view& view) {
    view.what = task_view::doing::waiting;
    view.epoch = task.epoch(); // it may have changed before the look
    task.parked_on().describe(view.waits_for);
    task.parked_on().wakers(view.wakers);
    view.alone = task.current() == &task && task.live() == 0;
    if (deadline_of(task.current()) != time_point::max()) view.wakers.add_others();
    if constexpr (!diagnosis) return;
    const executor* const home = task.home();
    const time_point now = executor::current() == home ? home->now() : std::chrono::steady_clock::now();
    const std::uint32_t waited = coarse_ms(now) - task.parked_on().since;
    // The loop's clock is that of the turn, and may seem to be ahead.
    view.waited_ms = static_cast<std::int32_t>(waited) < 0 ? 0 : waited;
    view.awaits.push_back(task.awaits_at());
    add_chain(view.awaits, task.leaf().promise().link());
}

/// A region of `task` right below `n`, whose lock is held.
region_node* region_below(const tree_node& n, const task_block& task) noexcept {
    int left = newest;
    for (tree_entry* e = n.children().front(); e && left > 0; e = n.children().next(*e), --left) {
        if (e->kind != node_kind::region && e->kind != node_kind::shield && e->kind != node_kind::group)
            continue;
        auto& region = static_cast<region_node&>(static_cast<tree_node&>(*e));
        lock_guard guard(region.mutex());
        if (region.owner() == &task) return &region;
    }
    return nullptr;
}

/// With the lock of `n` held, the task itself or a region that it is in: whether it waits there, or in a
/// region below, for the last of some tasks.
bool look_at_join(tree_node& n, const task_block& task, task_view& view) {
    if (n.is_awaited()) {
        view.what = task_view::doing::joining;
        view.unwinding = task.has(task_flag::unwinding);
        view.wakers.add_region(n);
    } else {
        region_node* const region = region_below(n, task);
        if (!region) return false;
        lock_guard guard(region->mutex());
        if (!look_at_join(*region, task, view)) return false;
    }
    // It does not run, so its regions can be read; the chain begins at the innermost.
    if (view.awaits.empty() && (n.kind == node_kind::region || n.kind == node_kind::shield))
        if (const void* frame = static_cast<region_node&>(n).region)
            add_chain(view.awaits, &static_cast<const region_frame*>(frame)->link());
    return true;
}

} // namespace

task_view look_at(task_block& task) {
    task_view view;
    view.id = &task;
    view.epoch = task.epoch();
    view.region = task.is_counted() ? task.parent : nullptr;
    view.started_at = task.started_at();
    if (task.has(task_flag::named)) view.name = task.name();
    if (task.begin_look()) {
        struct end {
            task_block& t;
            ~end() { t.end_look(); }
        } after{task};
        look_at_park(task, view);
        return view;
    }
    if (task.has(task_flag::retiring)) {
        view.what = task_view::doing::letting_go;
        view.wakers.add_others();
        return view;
    }
    lock_guard guard(task.mutex());
    if (!look_at_join(task, task, view)) view.wakers.add_others();
    return view;
}

void see_tasks(tree_node& root, const std::function<void(const task_view&)>& see) {
    tree_walk walk(root);
    std::vector<task_view> seen;
    for (bool more = true; more;) {
        seen.clear();
        more = walk.step(at_once, [&seen](tree_node& n) {
            if (n.kind != node_kind::task) return;
            auto& task = static_cast<task_block&>(static_cast<task_node&>(n));
            if (task.state() != park_state::ended) seen.push_back(look_at(task));
        });
        for (const task_view& v : seen) see(v);
    }
}

void see_failures(tree_node& root, const std::function<void(const failure_view&)>& see) {
    tree_walk walk(root);
    std::vector<failure_view> seen;
    for (bool more = true; more;) {
        seen.clear();
        more = walk.step(at_once, [&seen](tree_node& n) {
            if (n.kind != node_kind::task) return;
            const auto& task = static_cast<const task_block&>(static_cast<const task_node&>(n));
            if (task.state() != park_state::ended || !task.has(task_flag::kept)) return;
            seen.push_back({task.has(task_flag::named) ? task.name() : std::string(), task.started_at(),
                            task.kept_failure()});
        });
        for (const failure_view& v : seen) see(v);
    }
}

void see_all_tasks(const std::function<void(const task_view&)>& see) {
    const all_roots roots;
    for (tree_node* root : roots.get()) see_tasks(*root, see);
}

all_roots::~all_roots() {
    for (tree_node* root : roots_) root->unref();
}

} // namespace levada::detail
