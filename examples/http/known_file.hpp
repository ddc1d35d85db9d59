#pragma once

// What the server knows of a file, and keeps for a second of small ones.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <levada/levada.hpp>

#include "answer.hpp"
#include "date.hpp"

namespace http {

inline std::string_view type_of(std::string_view path) {
    static constexpr std::pair<std::string_view, std::string_view> types[] = {
        {".html", "text/html; charset=utf-8"},
        {".txt", "text/plain; charset=utf-8"},
        {".css", "text/css"},
        {".js", "text/javascript"},
        {".json", "application/json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".wasm", "application/wasm"},
        {".pdf", "application/pdf"},
    };
    for (const auto& [ending, type] : types)
        if (path.ends_with(ending)) return type;
    return "application/octet-stream";
}

/// A file as it was when it was opened.
struct known_file {
    known_file(std::string_view path, const levada::file_status& status) : size(status.size()) {
        const auto since_epoch = status.modified().time_since_epoch();
        modified = std::chrono::floor<std::chrono::seconds>(since_epoch).count();
        etag = '"' + std::to_string(since_epoch.count()) + '-' + std::to_string(size) + '"';
        add_field(fields, "Last-Modified", to_date(modified));
        add_field(fields, "ETag", etag);
        add_field(fields, "Accept-Ranges", "bytes");
        fields_without_type = fields.size();
        add_field(fields, "Content-Type", type_of(path));
    }
    std::uint64_t size;
    std::time_t modified;
    std::string etag;
    std::string fields;              // what answers say of it
    std::size_t fields_without_type; // the size of those that one without a body has
    std::string content;             // of a small one
};

/// Small files, as they were within the last second. One for each loop would do without the lock; it is held
/// for a look-up.
class file_cache {
public:
    using entry = std::shared_ptr<const known_file>;

    entry find(const std::string& path) {
        const std::lock_guard guard(mutex_);
        const auto at = files_.find(path);
        if (at == files_.end() || at->second.until < levada::now()) return nullptr;
        return at->second.file;
    }
    void keep(const std::string& path, entry file) {
        const std::lock_guard guard(mutex_);
        if (files_.size() >= most_kept) files_.clear();
        files_[path] = {std::move(file), levada::now() + std::chrono::seconds(1)};
    }

private:
    static constexpr std::size_t most_kept = 1024;
    struct kept {
        entry file;
        levada::time_point until;
    };
    std::mutex mutex_; // guards the map
    std::unordered_map<std::string, kept> files_;
};

} // namespace http
