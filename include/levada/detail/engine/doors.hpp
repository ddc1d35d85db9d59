#pragma once

#include <cstdint>
#include <span>

#include <levada/detail/engine/task_block.hpp>

namespace levada::detail {

inline constexpr std::uint32_t no_arm = 0xffffffff;

/// An operation that waits for the first of its arms.
class any_of : public operation {
public:
    [[nodiscard]] bool withdraw() noexcept override;
    [[nodiscard]] bool retire(std::uint32_t winner) noexcept override;
    void take_back_now() noexcept override;
    void describe(std::string& out) const override;
    void wakers(wake_sources& out) const override;
    [[nodiscard]] bool commits_on_cancel(const tree_node& current) noexcept override;
    [[nodiscard]] bool winner_was_cancel_answer(std::uint32_t winner,
                                                const tree_node& current) noexcept override {
        return winner < arms().size() && arms()[winner]->winner_was_cancel_answer(0, current);
    }

    /// Commits one of the arms, or parks on all of them; false when one has committed.
    /// Of the first `alike` arms any ready one is taken with equal chances; then the others, in order.
    /// `otherwise`: the index to take when none is ready, or `no_arm`. Throws bad_alloc, of many arms, before
    /// it has done anything.
    [[nodiscard]] bool wait(task_block& task, frame_handle leaf, std::size_t alike, std::uint32_t otherwise);
    /// Once resumed: which arm committed. All others have let go.
    [[nodiscard]] std::uint32_t settle() noexcept { return winner_ != no_arm ? winner_ : let_go_of_others(); }

protected:
    ~any_of() = default;
    // In a section of the owner's, for those who have looked at their arms themselves. `commits`: arm
    // `winner` has. `park_alone`: none could.
    [[nodiscard]] bool commits(task_block& task, frame_handle leaf, std::uint32_t winner) noexcept {
        winner_ = winner;
        return task.completed_at_once(leaf);
    }
    [[nodiscard]] bool park_alone(task_block& task, frame_handle leaf, bool in_order) noexcept;
    /// The arms, whose storage belongs to the operation.
    [[nodiscard]] virtual std::span<arm* const> arms() const noexcept = 0;

private:
    std::uint32_t let_go_of_others() noexcept;
    /// Commits one of the arms that have a lock, if any is ready at the one moment at which all are held.
    [[nodiscard]] std::uint32_t commit_at_once(std::span<arm* const> all,
                                               std::span<const std::uint32_t> order);
    [[nodiscard]] bool park_on_all(task_block& task, frame_handle leaf, std::span<arm* const> all,
                                   std::span<const std::uint32_t> order);
    task_block* task_ = nullptr;
    std::uint32_t winner_ = no_arm;
};

/// The same for one arm.
[[nodiscard]] bool wait_for(task_block& task, frame_handle leaf, arm& a) noexcept;

} // namespace levada::detail
