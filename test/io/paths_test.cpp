#include "on_the_loop.hpp"
#include "temporary_folder.hpp"

#include <filesystem>
#include <fstream>
#include <system_error>

#include <levada/levada.hpp>

using namespace levada;
using test_support::folder;
using test_support::on_the_loop;
namespace fs = std::filesystem;

TEST_CASE("paths are renamed, removed and made, and each failure says why") {
    folder f;
    on_the_loop([&]() -> task<> {
        std::ofstream(f / "a") << "text";
        auto made = co_await make_directory(f / "sub");
        CHECK(made);
        auto again = co_await make_directory(f / "sub");
        CHECK(again.error() == std::errc::file_exists);
        auto moved = co_await rename_file(f / "a", f / "sub/b");
        CHECK(moved);
        CHECK(fs::exists(f / "sub/b"));
        auto gone = co_await rename_file(f / "a", f / "c");
        CHECK(gone.error() == std::errc::no_such_file_or_directory);
        auto full = co_await remove_directory(f / "sub");
        CHECK(full.error() == std::errc::directory_not_empty);
        auto wrong = co_await remove_file(f / "sub");
        CHECK(wrong.error() == std::errc::is_a_directory);
        auto removed = co_await remove_file(f / "sub/b");
        CHECK(removed);
        auto empty = co_await remove_directory(f / "sub");
        CHECK(empty);
        CHECK_FALSE(fs::exists(f / "sub"));
    });
}
