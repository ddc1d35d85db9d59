#pragma once

#include <source_location>
#include <string>
#include <tuple>
#include <utility>

#include <levada/detail/engine/awaitable.hpp>
#include <levada/detail/engine/wait_queue.hpp>
#include <levada/detail/engine/work_list.hpp>
#include <levada/task/task_group.hpp>

namespace levada::detail {

/// Waits for room in a group; what it commits is a place.
class room_op : public queued_arm {
public:
    using outcome = void;
    explicit room_op(task_group& g) noexcept : queued_arm(g.waiting_), group_(&g) {}

    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override { out += "task_group::start"; }

protected:
    friend class levada::task_group;
    task_group* group_;
};

/// `co_await group.start(f, args...)`, and the same as an arm.
template <class F, class... A>
class [[nodiscard]] start_op final : public awaitable_arm<start_op<F, A...>, room_op> {
public:
    using outcome = void;
    template <class G, class... B>
    start_op(const std::source_location& where, task_group& g, G&& f, B&&... args)
        : awaitable_arm<start_op, room_op>(g),
          call_(std::forward<G>(f), std::forward<B>(args)...),
          where_(where) {}

    start_op(start_op&& other)
        : awaitable_arm<start_op, room_op>(*other.group_),
          call_(std::move(other.call_)),
          where_(other.where_) {}

    /// The place is taken: starts the task in it.
    void take() {
        std::apply([this](auto&... parts) { this->group_->launch(where_, std::move(parts)...); }, call_);
    }

private:
    std::tuple<F, A...> call_;
    std::source_location where_;
};

} // namespace levada::detail
