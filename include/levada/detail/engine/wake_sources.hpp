#pragma once

#include <vector>

#include <levada/detail/engine/waiter.hpp>

namespace levada::detail {

class tree_node;

/// Who could complete what a task is parked on: the search for deadlocks asks. What is kept are addresses: a
/// task or region may have ended since.
class wake_sources {
public:
    /// This task, going on, could.
    void add(const waiter& task) { tasks_.push_back(&task); }
    /// So could this task, by a thing that it has, and perhaps lends to those that it started.
    void add_holder(const waiter& task) { holders_.push_back(&task); }
    /// And so could one that nobody knows: a plain thread, a timer, the kernel, whoever has a handle.
    void add_others() noexcept { others_ = true; }

    /// The end of the last task of this region would, so each of them has to go on.
    void add_region(const tree_node& region) { regions_.push_back(&region); }

    [[nodiscard]] const std::vector<const waiter*>& tasks() const noexcept { return tasks_; }
    [[nodiscard]] const std::vector<const waiter*>& holders() const noexcept { return holders_; }
    [[nodiscard]] const std::vector<const tree_node*>& regions() const noexcept { return regions_; }
    [[nodiscard]] bool others() const noexcept { return others_; }

private:
    std::vector<const waiter*> tasks_;
    std::vector<const waiter*> holders_;
    std::vector<const tree_node*> regions_;
    bool others_ = false;
};

} // namespace levada::detail
