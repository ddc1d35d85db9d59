#include <support.hpp>

#include <set>
#include <vector>

#include <levada/detail/engine/tree.hpp>

using namespace levada;
using namespace levada::detail;

namespace {

/// A tree of sources, whose roots a walk goes into.
source_node& below(tree_node& parent) {
    source_node& n = source_node::make_local_root();
    parent.adopt(n);
    return n;
}

struct tree {
    source_node& root = source_node::make_local_root();
    ~tree() { root.unref(); }
};

} // namespace

TEST_CASE("a walk sees every node once, whatever its step") {
    for (unsigned step : {1u, 2u, 3u, 100u}) {
        tree t;
        std::vector<source_node*> all;
        for (int i = 0; i < 4; ++i) {
            all.push_back(&below(t.root));
            for (int k = 0; k < i; ++k) {
                all.push_back(&below(*all[all.size() - 1 - static_cast<std::size_t>(k)]));
            }
        }
        std::multiset<tree_node*> seen;
        {
            tree_walk walk(t.root);
            while (walk.step(step, [&](tree_node& n) { seen.insert(&n); })) {
            }
        }
        CHECK(seen == std::multiset<tree_node*>(all.begin(), all.end()));
        CHECK(t.root.children().front() != nullptr);
        for (source_node* n : all) n->unref();
    }
}

TEST_CASE("a walk goes on where it stood though the node there has gone") {
    tree t;
    source_node& first = below(t.root);
    source_node& second = below(t.root); // the newest is seen first
    source_node& under = below(second);
    std::vector<tree_node*> seen;
    tree_walk walk(t.root);
    const auto see = [&](tree_node& n) { seen.push_back(&n); };
    CHECK(walk.step(2, see)); // second, under
    under.unref();
    second.unref();            // the last handles: what keeps them now is the walk
    CHECK(!walk.step(1, see)); // and that was the last
    CHECK(seen.size() == 3);
    CHECK(seen.back() == &first);
    first.unref();
}

TEST_CASE("a walk that is given up leaves nothing in the tree") {
    tree t;
    source_node& n = below(t.root);
    source_node& under = below(n);
    {
        tree_walk walk(t.root);
        CHECK(walk.step(1, [](tree_node&) {})); // it stands below `n`
        CHECK(n.children().front() != &under);
    }
    CHECK(t.root.children().front() == &n);
    CHECK(t.root.children().next(n) == nullptr);
    CHECK(n.children().front() == &under);
    CHECK(n.children().next(under) == nullptr);
    under.unref();
    n.unref();
    CHECK(t.root.children().empty());
}

TEST_CASE("two walks at once do not disturb each other") {
    tree t;
    std::vector<source_node*> all;
    for (int i = 0; i < 10; ++i) all.push_back(&below(t.root));
    std::size_t first = 0;
    std::size_t second = 0;
    tree_walk one(t.root);
    tree_walk other(t.root);
    bool more = true;
    while (more) {
        more = one.step(1, [&](tree_node&) { ++first; });
        static_cast<void>(other.step(3, [&](tree_node&) { ++second; }));
    }
    CHECK(first == all.size());
    CHECK(second == all.size());
    for (source_node* n : all) n->unref();
}
