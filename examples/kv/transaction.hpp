#pragma once

// What has come since MULTI.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "commands.hpp"
#include "text.hpp"

namespace kv {

class transaction {
public:
    struct step {
        const command* what;
        std::vector<std::string> words;
    };
    [[nodiscard]] const std::vector<step>& steps() const noexcept { return steps_; }
    /// The shard of all its keys.
    [[nodiscard]] std::size_t shard() const noexcept { return shard_.value_or(0); }
    /// Whether a command was refused: then none is done.
    [[nodiscard]] bool broken() const noexcept { return broken_; }
    void break_off() noexcept { broken_ = true; }

    /// Adds a command, which `shard` would answer; or gives why it cannot.
    std::optional<std::string_view> add(const command& c, const arguments& a,
                                        std::optional<std::size_t> shard) {
        if (std::string_view(c.name).ends_with("SUBSCRIBE") || is(c.name, "HELLO"))
            return "ERR Command not allowed inside a transaction";
        if (c.to != target::session && (!shard || shard_.value_or(*shard) != *shard))
            return "CROSSSLOT Keys of a transaction have to be of one shard; give them one {tag}";
        if (shard) shard_ = shard;
        steps_.push_back({&c, std::vector<std::string>(a.begin(), a.end())});
        return {};
    }

private:
    std::vector<step> steps_;
    std::optional<std::size_t> shard_;
    bool broken_ = false;
};

} // namespace kv
