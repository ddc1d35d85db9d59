#include <levada/detail/engine/task_block.hpp>

#include <pthread.h>

#include <cstdio>
#include <mutex>
#include <string>
#include <unordered_map>

#include <levada/base/errc.hpp>
#include <levada/detail/engine/enter_executor.hpp>
#include <levada/detail/engine/promise.hpp>
#include <levada/detail/engine/schedule_point.hpp>
#include <levada/detail/engine/thread_context.hpp>
#include <levada/detail/inspect/task_view.hpp>
#include <levada/detail/util/fatal.hpp>

#include "layout_table.hpp"

namespace levada::detail {
namespace {

region_frame& region_of(const tree_node& node) noexcept {
    return *static_cast<region_frame*>(static_cast<const region_node&>(node).region);
}

// Names are rare, so they lie beside the tasks that have one. Guarded by its mutex.
struct name_table {
    std::mutex mutex;
    std::unordered_map<const task_block*, std::string> names;
};

} // namespace
} // namespace levada::detail

extern "C" {
// For debuggers. The first keeps the table of layout.cpp in the program.
extern const void* const levada_layout_of_tasks;
[[gnu::used]] const void* const levada_layout_of_tasks = &levada_layout;
const void* levada_names = nullptr;
}

namespace levada::detail {
namespace {

name_table& names() {
    // Never destroyed: tasks may end after main.
    static name_table* const table = [] {
        // In the child of a fork the mutex is free. (Out of memory, it may not be.)
        (void)::pthread_atfork([] { names().mutex.lock(); }, [] { names().mutex.unlock(); },
                               [] { names().mutex.unlock(); });
        auto* made = new name_table;
        levada_names = &made->names;
        return made;
    }();
    return *table;
}

} // namespace

task_block& current_task(const char* what) noexcept {
    task_block* t = this_thread().task;
    if (!t) fatal({what, " was used outside of a task"});
    return *t;
}

void task_block::launch(tree_node& below) noexcept {
    schedule_point();
    executor& on = *home();
    {
        const owner_section section;
        below.adopt_task(*this);
        if (section)
            if (work_list* const direct = on.direct_start()) return direct->push(*this);
    }
    if (executor::current() == &on) on.start(*this);
    else on.post(*this);
}

void task_block::run() noexcept {
    thread_context* const known = home()->context();
    thread_context& thread = known ? *known : this_thread();
    task_run here{.next = nullptr, .thread = thread, .calls = *thread.calls};
    executor* const outside = thread.on; // where no enter_executor has said it
    thread.on = home();
    thread.task = this;
    const auto leave_thread = [&thread, outside] {
        thread.on = outside;
        thread.task = nullptr;
    };

    frame_handle frame;
    operation* const op = parked_on_;
    switch (state()) {
        case park_state::claimed:
            if (has(task_flag::kernel)) [[unlikely]] {
                if (!op->retire(winner())) {
                    set(task_flag::retiring); // posted again when the kernel has let go
                    leave_thread();
                    return;
                }
                clear(task_flag::kernel);
            }
            unbind();
            if (is_cancelled() && op->winner_was_cancel_answer(winner(), *current()))
                set(task_flag::cancel_reported);
            on_ = &here; // the word stays `claimed`: nobody can claim it again before the next park
            frame = leaf_;
            break;
        case park_state::cancelled:
            if (!op->withdraw()) {
                set(task_flag::retiring);
                leave_thread();
                return;
            }
            clear(task_flag::kernel);
            unbind();
            set_running();
            on_ = &here;
            if (!has(task_flag::cancel_reported) && op->commits_on_cancel(*current())) {
                set(task_flag::cancel_reported);
                frame = leaf_;
            } else {
                frame = unwind();
            }
            break;
        default:
            on_ = &here;
            if (!has(task_flag::started)) {
                set(task_flag::started);
                frame = first_frame();
            } else if (has(task_flag::unwinding)) {
                frame = unwind();
            } else if (has(task_flag::idle_wait)) {
                clear(task_flag::idle_wait);
                frame = leave_body(nullptr);
            } else {
                frame = leaf_;
            }
    }

    while (frame) {
        here.what = step::parked;
        frame.resume();
        switch (here.what) {
            case step::parked: frame = nullptr; break; // *this may run elsewhere, or be gone
            case step::resume: frame = here.next; break;
            case step::leave: frame = leave_body(here.next); break;
            case step::unwind: frame = unwind(); break;
        }
    }
    leave_thread();
    thread.operations += full_budget - here.budget;
}

frame_handle task_block::first_frame() noexcept {
    set(task_flag::beginning);
    try {
        const frame_handle root = begin();
        clear(task_flag::beginning);
        if (root) {
            root.promise().attach(*this, nullptr, true);
            return root;
        }
    } catch (...) {
        clear(task_flag::beginning);
        set_exception(std::current_exception());
        set(task_flag::failed);
    }
    end();
    return nullptr;
}

frame_handle task_block::leave_body(frame_handle body) noexcept {
    tree_node* n = current();
    if (n == this) {
        if (body.promise().failed()) {
            set(task_flag::failed);
            body.destroy();
        } else {
            try {
                collect(body);
            } catch (...) { // the value's move threw
                set_exception(std::current_exception());
                set(task_flag::failed);
            }
        }
        end();
        return nullptr;
    }
    region_frame& region = region_of(*n);
    set_joining();
    if (!region.body_ended(*this, false)) return nullptr;
    // To join the tasks of the region was an operation of the caller's: a cancel from outside that has ended
    // them unwinds it, whether they were waited for or had ended before the body did.
    const bool unwinds = region.child_was_unwound() && n->parent->cancelled();
    if (unwinds) leaf_ = region.caller().frame();
    pop_scope();
    return unwinds ? unwind() : region.caller().frame();
}

void task_block::pop_scope() noexcept {
    auto& scope = static_cast<region_node&>(*current());
    const bool reported_outside = scope.kind == node_kind::shield && region_of(scope).told_before();
    set_current(*scope.parent);
    scope.close();
    if (!is_cancelled()) clear(task_flag::cancel_reported); // what was told was a cancel of that scope
    if (reported_outside) set(task_flag::cancel_reported);
}

// Whether the unwinding has to wait for tasks of the regions from the current one to `outermost`.
bool task_block::await_children(tree_node& outermost) noexcept {
    for (tree_node* n = current();; n = n->parent) {
        if (n->await_idle()) return true;
        // Groups that were made in these regions and are not regions: they hang right below.
        lock_guard guard(n->mutex());
        for (tree_entry* e = n->children().front(); e; e = n->children().next(*e))
            if (e->kind == node_kind::group && static_cast<tree_node*>(e)->await_idle()) return true;
        if (n == &outermost) return false;
    }
}

frame_handle task_block::unwind() noexcept {
    set(task_flag::unwinding);
    set_joining();
    for (;;) {
        // The outermost cancelled region that is not behind a shield.
        tree_node* target = nullptr;
        for (tree_node* n = current();; n = n->parent) {
            if (n->cancelled()) target = n;
            if (n == this || n->kind == node_kind::shield) break;
        }
        if (await_children(*target)) return nullptr; // posted when they have ended

        promise_base* const stop = target == this ? nullptr : &region_of(*target).caller();
        promise_base* p = leaf_ ? &leaf_.promise() : nullptr;
        while (p != stop) {
            while (current() != target && &region_of(*current()).caller() == p) pop_scope();
            promise_base* const up = p->awaiting();
            p->frame().destroy();
            p = up;
        }
        leaf_ = stop ? stop->frame() : nullptr;
        if (await_children(*target)) return nullptr; // destructors have started some
        if (target == this) {
            set(task_flag::cancelled);
            end();
            return nullptr;
        }
        region_frame& region = region_of(*target);
        if (!region.body_ended(*this, true)) fatal("a region was left before its tasks had ended");
        pop_scope();
        bool outer_cancelled = false;
        for (tree_node* n = current();; n = n->parent) {
            outer_cancelled |= n->cancelled();
            if (n == this || n->kind == node_kind::shield) break;
        }
        if (outer_cancelled && !has(task_flag::cancel_reported)) continue;
        clear(task_flag::unwinding);
        return region.caller().frame();
    }
}

void task_block::end() noexcept {
    destroy_arguments();
    after_unlock todo;
    ended(todo);
    const bool was_cancelled = has(task_flag::cancelled); // a joiner writes the flags once it sees the end
    set_ended();
    if (!has(task_flag::kept) && end_in_section(was_cancelled)) [[likely]] {
        if (!todo.empty()) todo.run();
        unref();
        return;
    }
    // What hangs below still (tasks that were detached, tokens) keeps its way to the tokens above. With tasks
    // that it started and nobody has joined, it counts on until the last of them has ended: those who wait
    // for this one before they unwind, and the loop's shutdown, wait for them too.
    const hanging more = fire_end(todo);
    if (more != hanging::tasks) {
        if (!take_counted())
            home()->root().uncount(todo, was_cancelled); // who detached it may be at `parent`
        // Whoever has a token of it may be on its way up through `parent`, from any thread.
        else if (more == hanging::nothing && unshared()) parent->uncount_child(*this, todo, was_cancelled);
        else parent->uncount(todo, was_cancelled);
    }
    todo.run();
    unref();
}

bool task_block::end_in_section(bool was_cancelled) noexcept {
    const owner_section section;
    // Who has a token of it, on any thread, may poll that without coming: then it stays below its parent.
    return section && has_references(has_handle() ? 2 : 1) && end_alone(was_cancelled);
}

void task_block::end_for_handle() noexcept {
    if (!has(task_flag::failed)) return;
    if (exchange_handle(handle_state::failed) != handle_state::none) return;
    terminate_with(take_exception());
}

void task_block::drop_handle(bool detach) noexcept {
    after_unlock todo;
    if (detach) {
        tree_node& root = home()->root();
        root.count(); // first: it may end at once
        if (take_counted()) parent->uncount(todo);
        else root.uncount(todo);
    }
    const handle_state was = exchange_handle(handle_state::none);
    const task_block* const dropping = this_thread().task;
    const auto leaving = [dropping] {
        return std::uncaught_exceptions() > 0 || (dropping && dropping->has(task_flag::unwinding));
    };
    if (was == handle_state::failed && !leaving()) terminate_with(take_exception());
    if (!detach && state() != park_state::ended) {
        if (leaks_are_told.load(std::memory_order_relaxed) && !leaving()) tell_dropped();
        cancel(make_error_code(errc::cancelled));
    }
    todo.run();
    unref();
}

void task_block::tell_dropped() noexcept {
    std::string text = "levada: a join_handle is dropped, which cancels its task:\n";
    task_writer().write(text, look_at(*this));
    std::fputs(text.c_str(), stderr);
}

void task_block::terminate_with(std::exception_ptr e) const noexcept {
    with_words_of(e, [this](std::string_view words) {
        constexpr std::string_view what = "an exception left a task that nobody joins: ";
        std::string known;
        try {
            known = name();
        } catch (const std::bad_alloc&) { // that may be the exception, too
        }
        if (known.empty()) fatal({what, words, "; started"}, where());
        fatal({what, words, "; task \"", known, "\"; started"}, where());
    });
}

bool task_block::answer_or_unwind(frame_handle leaf, operation& op) noexcept {
    if (!has(task_flag::cancel_reported) && op.commits_on_cancel(*current())) {
        set(task_flag::cancel_reported);
        return true;
    }
    leaf_ = leaf;
    on_->what = step::unwind;
    return false;
}

bool task_block::lets_others_run(frame_handle leaf) noexcept {
    executor& loop = *home();
    if (loop.goes_on(on_->budget)) return false;
    const bool used_up = on_->budget == 0;
    leaf_ = leaf;
    set_running();
    if (used_up) loop.yield(*this);
    else loop.interrupted(*this);
    return true;
}

void task_block::yield(frame_handle leaf) noexcept {
    leaf_ = leaf;
    set_running();
    home()->yield(*this);
}

void task_block::set_exception(std::exception_ptr e) noexcept {
    if (has(task_flag::thrown)) exception_.~exception_ptr();
    ::new (&exception_) std::exception_ptr(std::move(e));
    set(task_flag::thrown);
}

std::exception_ptr task_block::take_exception() noexcept {
    if (!has(task_flag::thrown)) return nullptr;
    clear(task_flag::thrown);
    std::exception_ptr e = std::move(exception_);
    exception_.~exception_ptr();
    leaf_ = nullptr;
    return e;
}

std::string task_block::name() const {
    if (!has(task_flag::named)) return {};
    std::lock_guard guard(names().mutex);
    auto it = names().names.find(this);
    return it == names().names.end() ? std::string() : it->second;
}

void task_block::set_name(std::string name) {
    std::lock_guard guard(names().mutex);
    names().names.insert_or_assign(this, std::move(name));
    set(task_flag::named);
}

void task_block::forget_name() noexcept {
    std::lock_guard guard(names().mutex);
    names().names.erase(this);
}

void region_frame::enter(node_kind kind, task_block& task, promise_base& caller) {
    node_ = region_node::open(kind, task); // first: it may throw, and then nothing was entered
    link_ = {&caller, task.awaits_at()};
    // A cancel inside a shield is another one than that outside.
    reported_before_ = kind == node_kind::shield && task.has(task_flag::cancel_reported);
    if (reported_before_) task.clear(task_flag::cancel_reported);
    node_->region = this;
    task.set_current(*node_);
}

} // namespace levada::detail
