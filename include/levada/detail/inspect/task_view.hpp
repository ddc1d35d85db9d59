#pragma once

// What tasks are doing, for dumps and reports: looked at while they run, on any thread.
//
// Invariants:
// 1. A task's node is alive while the lock of its parent, in whose list it hangs, is held.
// 2. Of a task that is parked, the operation and the frames are read between begin_look() and end_look().
// 3. A task that waits for the tasks of a region is made ready by the end of the last of them, under the lock
//    of the region's node: its frames are read with that lock held.
// So nothing is stopped: who wants to claim a task waits while it is read, a microsecond or so, and who wants
// to start or end one below the same node waits while a few are read.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <levada/base/executor.hpp>
#include <levada/detail/engine/await_site.hpp>
#include <levada/detail/engine/tree.hpp>
#include <levada/detail/engine/wake_sources.hpp>

namespace levada::detail {

class task_block;

/// What was seen of a task.
struct task_view {
    enum class doing : std::uint8_t {
        running,    // or ready to
        waiting,    // parked on an operation
        letting_go, // was woken, and waits for the kernel to give back what it has of it
        joining,    // the body of a region is done, or cancelled, and its tasks are not
    };
    const waiter* id = nullptr; // its address, to tell it from others; it may have ended since
    std::uint32_t epoch = 0;    // of the park
    std::string name;
    await_site started_at;
    doing what = doing::running;
    bool unwinding = false;
    std::string waits_for; // in words
    std::uint32_t waited_ms = 0;
    std::vector<await_site> awaits; // where its frames await, the innermost first
    wake_sources wakers;
    const tree_node* region = nullptr; // that counts it, if it was not detached; an address only
    bool alone = false; // parked in no region of its own, and without tasks that it has started
};

/// Calls `see` for every live task below a root. What is started meanwhile may be missed.
void see_tasks(tree_node& root, const std::function<void(const task_view&)>& see);
/// The same for the tasks of all loops of the process.
void see_all_tasks(const std::function<void(const task_view&)>& see);

/// A task that has failed, and whose group has told nobody yet.
struct failure_view {
    std::string name;
    await_site started_at;
    std::exception_ptr thrown;
};
void see_failures(tree_node& root, const std::function<void(const failure_view&)>& see);

/// The roots of all loops of the process, kept for as long as this lives.
class all_roots {
public:
    all_roots() : roots_(executor::roots()) {}
    ~all_roots();
    all_roots(const all_roots&) = delete;
    all_roots& operator=(const all_roots&) = delete;
    [[nodiscard]] const std::vector<tree_node*>& get() const noexcept { return roots_; }

private:
    std::vector<tree_node*> roots_;
};

/// Whether what is lost is told; see debug::report_leaks.
inline std::atomic<bool> leaks_are_told{false};

/// What a task that the caller keeps is doing.
[[nodiscard]] task_view look_at(task_block& task);

/// Writes views as text; it remembers the names of places.
class task_writer {
public:
    /// A line that says what the task is and what it waits for, then one for each frame.
    void write(std::string& out, const task_view& task);
    /// A task in a few words: its name, or where it was started.
    void write_name(std::string& out, const task_view& task) { write_name(out, task.name, task.started_at); }
    void write_name(std::string& out, const std::string& name, await_site started_at);

private:
    [[nodiscard]] const std::string& place(await_site at, bool with_function);
    std::vector<std::pair<std::uint64_t, std::string>> places_; // sorted
};

/// Finds the tasks below some roots that wait for each other and for nobody else, and writes them, those that
/// form a circle first. Says how many there are.
///
/// A task is among them if all who could complete what it waits for are: the holder of a mutex, the task that
/// is joined, one of the tasks of a group, those that hold the other ends of a channel (of one whose ends are
/// counted, and that has no handles beside them). What has a deadline is not. Cancelling may still end them.
/// It looks twice, and takes only tasks that have not run in between: so they were all parked at once. (After
/// the search for leaked goroutines in Go 1.26, which asks the garbage collector what we ask the counted
/// ends.)
std::size_t write_deadlocks(std::string& out, const std::vector<tree_node*>& roots);

} // namespace levada::detail
