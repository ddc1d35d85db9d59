#pragma once

#include <levada/cancel/token.hpp>

namespace levada::detail {

/// The node of the cancel tree that a token refers to, for those who hang something there.
struct token_access {
    /// A token that refers to `n`.
    [[nodiscard]] static cancel_token refer_to(tree_node& n) noexcept { return cancel_token(n); }
    /// Null of a token that is never cancelled.
    [[nodiscard]] static tree_node* node(const cancel_token& t) noexcept { return t.node_; }
};

} // namespace levada::detail
