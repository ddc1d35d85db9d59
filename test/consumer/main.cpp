#include <levada/levada.hpp>

int main() {
    return levada::run([]() -> levada::task<int> { co_return 0; });
}
