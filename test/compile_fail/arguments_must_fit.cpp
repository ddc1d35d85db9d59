// expect: the callable cannot be called with these arguments \(they are decay-copied
#include <functional>

#include <levada/task/spawn.hpp>

levada::task<> f(int& n);

void g(int& n) {
    levada::go(f, std::ref(n));
#ifdef LEVADA_MISUSE
    levada::go(f, n);
#endif
}
