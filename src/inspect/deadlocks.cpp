#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <levada/detail/inspect/task_view.hpp>

namespace levada::detail {
namespace {

using tasks_by_id = std::unordered_map<const waiter*, task_view>;

/// Of the tasks below the roots, those that nobody unknown can wake.
tasks_by_id candidates(const std::vector<tree_node*>& roots) {
    tasks_by_id found;
    for (tree_node* root : roots)
        see_tasks(*root, [&found](const task_view& task) {
            if (!task.wakers.others()) found.emplace(task.id, task);
        });
    return found;
}

/// Leaves those that only tasks among them can wake: the greatest such set.
void keep_stuck(tasks_by_id& tasks) {
    for (bool changed = true; changed;) {
        std::unordered_set<const tree_node*> stuck_regions;
        for (const auto& [id, task] : tasks) stuck_regions.insert(task.region);
        const auto goes_on = [&](const auto& entry) {
            const wake_sources& by = entry.second.wakers;
            return std::any_of(by.tasks().begin(), by.tasks().end(),
                               [&](const waiter* p) { return !tasks.contains(p); }) ||
                   std::any_of(by.holders().begin(), by.holders().end(),
                               [&](const waiter* p) {
                                   const auto holder = tasks.find(p);
                                   return holder == tasks.end() || !holder->second.alone;
                               }) ||
                   std::any_of(by.regions().begin(), by.regions().end(),
                               [&](const tree_node* r) { return !stuck_regions.contains(r); });
        };
        changed = std::erase_if(tasks, goes_on) != 0;
    }
}

/// One that `task` waits for; null if there is none.
const task_view* waits_for(const tasks_by_id& tasks, const task_view& task) {
    if (!task.wakers.tasks().empty()) return &tasks.at(task.wakers.tasks().front());
    if (!task.wakers.holders().empty()) return &tasks.at(task.wakers.holders().front());
    for (const tree_node* region : task.wakers.regions())
        for (const auto& [id, other] : tasks)
            if (other.region == region) return &other;
    return nullptr;
}

void write_waits_for(std::string& out, task_writer& writer, const task_view* other) {
    if (!other) return;
    out += "    and waits for ";
    writer.write_name(out, *other);
    out += '\n';
}

} // namespace

std::size_t write_deadlocks(std::string& out, const std::vector<tree_node*>& roots) {
    const tasks_by_id first = candidates(roots);
    if (first.empty()) return 0;
    tasks_by_id tasks = candidates(roots);
    std::erase_if(tasks, [&first](const auto& entry) {
        const auto before = first.find(entry.first);
        return before == first.end() || before->second.epoch != entry.second.epoch;
    });
    keep_stuck(tasks);

    task_writer writer;
    std::unordered_map<const waiter*, std::size_t> walked; // in which walk each was met
    std::vector<const task_view*> rest;
    std::size_t walks = 0;
    for (const auto& [id, task] : tasks) {
        if (walked.contains(id)) continue;
        ++walks;
        std::vector<const task_view*> way;
        const task_view* at = &task;
        for (; at && walked.emplace(at->id, walks).second; at = waits_for(tasks, *at)) way.push_back(at);
        // In a walk of its own it came to a task of this walk: the way from there on is a circle.
        const auto circle =
            at && walked.at(at->id) == walks ? std::find(way.begin(), way.end(), at) : way.end();
        rest.insert(rest.end(), way.begin(), circle);
        if (circle == way.end()) continue;
        out += "deadlock: ";
        out += way.end() - circle == 1 ? "a task waits for itself:\n"
                                       : "tasks that wait for each other, in a circle:\n";
        for (auto member = circle; member != way.end(); ++member) {
            writer.write(out, **member);
            write_waits_for(out, writer, member + 1 == way.end() ? *circle : *(member + 1));
        }
    }
    if (!rest.empty()) out += "deadlock: tasks that nothing else can wake:\n";
    for (const task_view* task : rest) {
        writer.write(out, *task);
        write_waits_for(out, writer, waits_for(tasks, *task));
    }
    return tasks.size();
}

} // namespace levada::detail
