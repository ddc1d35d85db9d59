// expect: pass the function and its arguments, not a task
#include <levada/task/task_group.hpp>

levada::task<> f(int);

void g(levada::task_group& group) {
    group.go(f, 1);
#ifdef LEVADA_MISUSE
    group.go(f(1));
#endif
}
