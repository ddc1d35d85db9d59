#pragma once

#include <string>

#include <levada/detail/engine/blocking.hpp>
#include <levada/detail/engine/external_arm.hpp>
#include <levada/detail/util/intrusive_list.hpp>

namespace levada::detail {

/// Something to do on a thread of the pool.
class pool_job : public list_hook {
public:
    virtual void work_here() noexcept = 0;

protected:
    pool_job() = default;
    ~pool_job() = default;

private:
    friend class offload_pool;
    bool queued_ = false; // guarded by the pool's mutex
};

/// The job of a task. It lies in the task's frame.
///
/// Its states: queued, in the pool's list; running, on one of its threads; done. The pool's mutex guards the
/// change from queued; a job that runs is the thread's until it arrives back at the task's loop.
class offload_job : public external_arm, private pool_job {
public:
    [[nodiscard]] bool link() noexcept final;
    [[nodiscard]] bool withdraw() noexcept final;
    void describe(std::string& out) const final { out += "offload"; }

    static constexpr bool selectable = false;
    void keep_late() noexcept {}

protected:
    offload_job() = default;
    offload_job(offload_job&&) noexcept {} // before it is linked
    ~offload_job() = default;
    virtual void call() noexcept = 0;
    /// Throws if there was no thread that could call it.
    void check_called() const;

private:
    void work_here() noexcept final;
    int no_thread_ = 0; // why not
    blocking_scope scope_;
};

} // namespace levada::detail
