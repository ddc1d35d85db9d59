#pragma once

#include <string>
#include <utility>

#include <levada/detail/engine/wait_queue.hpp>
#include <levada/task/spawn.hpp>

namespace levada {

class wait_group;

namespace detail {

/// `co_await wg.wait()`, and the same as an arm.
class [[nodiscard]] wait_group_op final : public queue_awaitable<wait_group_op> {
public:
    using outcome = void;
    wait_group_op(wait_group& g, wait_queue& q) noexcept : queue_awaitable(q), group_(&g) {}
    wait_group_op(wait_group_op&& other) noexcept : wait_group_op(*other.group_, *other.queue_) {}

    bool try_commit(work_list&) noexcept override;
    void describe(std::string& out) const override;
    void await_resume() { take(); }
    void take() { failed_task(std::move(failed_)).rethrow(); }

private:
    friend class levada::wait_group;
    wait_group* group_;
    failed_task failed_; // given with the commit, so that the group may be gone when it is thrown
};

} // namespace detail
} // namespace levada
