#pragma once

#include <source_location>
#include <utility>

#include <levada/task/task_group.hpp>

namespace levada::detail {

/// `go` and `start` of a group with the place that asked for the task.
struct group_access {
    template <class F, class... A>
    static void go_at(task_group& g, const std::source_location& where, F&& f, A&&... args) {
        g.go_at(where, std::forward<F>(f), std::forward<A>(args)...);
    }
    template <class F, class... A>
    [[nodiscard]] static auto start_at(task_group& g, const std::source_location& where, F&& f, A&&... args) {
        return g.start_at(where, std::forward<F>(f), std::forward<A>(args)...);
    }
};

} // namespace levada::detail
