// expect: pass the function and its arguments, not a task: go\(f, x\), not go\(f\(x\)\)
#include <levada/task/spawn.hpp>

levada::task<> f(int);

void g() {
    levada::go(f, 1);
#ifdef LEVADA_MISUSE
    levada::go(f(1));
#endif
}
