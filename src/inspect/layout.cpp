// Where debuggers find things: tools/gdb/levada.py reads this table, so that it needs no debug information.

#include <cstddef>
#include <cstdint>

#include <levada/detail/engine/promise.hpp>
#include <levada/detail/engine/task_block.hpp>
#include <levada/detail/engine/thread_context.hpp>

#include "../engine/layout_table.hpp"

// No class here has a virtual base, so the offsets are constants.
#pragma GCC diagnostic ignored "-Winvalid-offsetof"

namespace levada::detail {

// tools/gdb/levada.py has these numbers. Who changes one changes it there, and the version in `make()`.
constexpr auto has = [](auto value, unsigned number) { return static_cast<unsigned>(value) == number; };
static_assert(has(park_state::running, 0) && has(park_state::parked, 2) && has(park_state::looked_at, 3) &&
              has(park_state::claimed, 4) && has(park_state::cancelled, 5) && has(park_state::ended, 6));
static_assert(has(node_kind::source, 0) && has(node_kind::task, 1) && has(node_kind::region, 2) &&
              has(node_kind::shield, 3) && has(node_kind::group, 4) && has(node_kind::callback, 5));
static_assert(has(task_flag::unwinding, 2) && has(task_flag::idle_wait, 8) && has(task_flag::retiring, 512));

struct layout {
    /// Of a base in an object; an address that is not 0, since that of a null pointer stays.
    template <class Derived, class Base>
    static std::uint32_t base() noexcept {
        constexpr std::uintptr_t somewhere = 4096;
        auto* d = reinterpret_cast<Derived*>(somewhere);
        return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(static_cast<Base*>(d)) -
                                          somewhere);
    }
    static constexpr std::uint32_t of(std::size_t offset) noexcept {
        return static_cast<std::uint32_t>(offset);
    }

    static_assert(tree_node::awaited == std::uint32_t(1) << 31); // it has this one, too
    static layout_table make() noexcept {
        // The order is known to the script, and the number at the front tells them apart.
        return {{
            1,
            of(offsetof(executor, next_)),
            of(offsetof(executor, root_)),
            of(offsetof(executor, context_)),
            of(offsetof(thread_context, clock)),
            of(offsetof(list_hook, next)),
            of(offsetof(tree_node, parent)),
            of(offsetof(tree_node, kind)),
            of(offsetof(tree_node, children_)),
            of(offsetof(tree_node, live_)),
            base<task_block, tree_node>(), // 10
            base<task_block, list_hook>() - base<task_block, tree_node>(),
            of(offsetof(task_block, word_)),
            of(offsetof(task_block, home_)),
            of(offsetof(task_block, flags_)),
            of(offsetof(task_block, parked_on_)),
            of(offsetof(task_block, leaf_)),
            of(offsetof(task_block, started_at_)),
            of(offsetof(task_block, awaits_at_)),
            of(offsetof(operation, since)),
            promise_in_frame(), // 20
            of(offsetof(promise_base, awaiting_)),
            of(offsetof(await_link, at)),
            of(offsetof(region_node, owner_)),
            of(offsetof(region_node, region)),
            of(offsetof(region_frame, link_)), // 25
        }};
    }
    static std::uint32_t promise_in_frame() noexcept {
        constexpr std::uintptr_t somewhere = 4096;
        const auto h = frame_handle::from_address(reinterpret_cast<void*>(somewhere));
        return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(&h.promise()) - somewhere);
    }
};

} // namespace levada::detail

extern "C" {
const levada::detail::layout_table levada_layout = levada::detail::layout::make();
}
