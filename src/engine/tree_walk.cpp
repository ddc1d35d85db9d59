#include <levada/detail/engine/tree.hpp>

#include <utility>

namespace levada::detail {

tree_walk::tree_walk(tree_node& root) noexcept : root_(&root), at_(&root) {
    root.ref();
    lock_guard guard(root.lock_);
    leaves_[leaf_].parent = &root;
    root.children_.insert(leaves_[leaf_]);
}

tree_walk::~tree_walk() {
    {
        lock_guard guard(at_->lock_);
        at_->children_.erase(leaves_[leaf_]);
    }
    at_->unref();
}

// With the lock of `at_` held: goes on in front of `next`, or behind `last` when that was the end.
void tree_walk::stand_before(tree_entry* next, tree_entry* last) noexcept {
    tree_entry& mine = leaves_[leaf_];
    if (last == &mine || (next && intrusive_bag<tree_entry>::next(mine) == next)) return;
    at_->children_.erase(mine);
    at_->children_.insert_after(*last, mine);
}

// To behind the node that it stands below. False at the root.
bool tree_walk::ascend() noexcept {
    tree_node* const below = at_;
    if (below == root_) return false;
    tree_entry& old = leaves_[leaf_];
    leaf_ = 1 - leaf_;
    tree_node* const up = below->parent; // stays, since `below` is linked while we hang in it
    up->ref();
    {
        lock_guard guard(up->lock_);
        leaves_[leaf_].parent = up;
        up->children_.insert_after(*below, leaves_[leaf_]);
    }
    at_ = up;
    {
        lock_guard guard(below->lock_);
        below->children_.erase(old);
    }
    below->unref(); // perhaps the last: then it leaves `up`
    return true;
}

// Not below a node that is about to leave its parent: there would be no way back. There are no tasks either,
// as below a cancel_source.
bool tree_walk::may_descend(const tree_node& n) noexcept {
    if (n.kind == node_kind::source) return static_cast<const source_node&>(n).local_root_;
    return (n.live_.load(std::memory_order_relaxed) & tree_node::unhooks) == 0;
}

bool tree_walk::step_on(unsigned most, void (*visit)(const void*, tree_node&), const void* f) {
    while (most != 0) {
        tree_node* down = nullptr;
        bool at_end = false;
        {
            lock_guard guard(at_->lock_);
            tree_entry* last = &leaves_[leaf_];
            tree_entry* next = intrusive_bag<tree_entry>::next(*last);
            while (next && most != 0 && !down) {
                last = next;
                next = intrusive_bag<tree_entry>::next(*next);
                if (last->kind >= node_kind::callback) continue;
                auto& n = static_cast<tree_node&>(*last);
                visit(f, n);
                --most;
                lock_guard below(n.lock_);
                if (n.children_.empty() || !may_descend(n)) continue;
                n.ref();
                tree_entry& other = leaves_[1 - leaf_];
                other.parent = &n;
                n.children_.insert(other);
                down = &n;
            }
            at_end = !next && !down;
            if (down) at_->children_.erase(leaves_[leaf_]);
            else stand_before(next, last);
        }
        if (down) {
            leaf_ = 1 - leaf_;
            std::exchange(at_, down)->unref(); // not the last: what is below has one
        } else if (at_end && !ascend()) {
            return false;
        }
    }
    return true;
}

} // namespace levada::detail
