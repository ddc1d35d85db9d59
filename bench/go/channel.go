// The cases of bench/channel.cpp in Go, under the same names, on one processor. Prints a line for each:
// its name, a tab, and nanoseconds per operation (or what the table of channel.cpp says).
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// The processor time of this process in nanoseconds, as in channel.cpp.
func clock() float64 {
	const processTime = 2 // CLOCK_PROCESS_CPUTIME_ID
	var t syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, processTime, uintptr(unsafe.Pointer(&t)), 0)
	return float64(t.Nano())
}

// Nanoseconds per operation since `start`.
func per(start float64, n int) float64 {
	return (clock() - start) / float64(n)
}

func pingPong(n int) float64 {
	there, back := make(chan int), make(chan int)
	go func() {
		for v := range there {
			back <- v
		}
		close(back)
	}()
	start := clock()
	for i := 0; i < n/2; i++ {
		there <- i
		<-back
	}
	ns := per(start, n)
	close(there)
	<-back
	return ns
}

func produce(ch chan<- int, n int, wg *sync.WaitGroup) {
	for i := 0; i < n; i++ {
		ch <- i
	}
	wg.Done()
}

func flow(senders, receivers, capacity int) func(int) float64 {
	return func(n int) float64 {
		ch := make(chan int, capacity)
		var sending, receiving sync.WaitGroup
		sending.Add(senders)
		receiving.Add(receivers)
		start := clock()
		for i := 0; i < senders; i++ {
			go produce(ch, n/senders, &sending)
		}
		for i := 0; i < receivers; i++ {
			go func() {
				for range ch {
				}
				receiving.Done()
			}()
		}
		sending.Wait()
		close(ch)
		receiving.Wait()
		return per(start, n)
	}
}

func selectReady(n int) float64 {
	const batch = 2000
	a, b := make(chan int, batch), make(chan int, batch)
	var total float64
	for done := 0; done < n; done += batch {
		for len(a) < batch {
			a <- 1
		}
		for len(b) < batch {
			b <- 1
		}
		start := clock()
		for i := 0; i < batch; i++ {
			select {
			case <-a:
			case <-b:
			}
		}
		total += clock() - start
	}
	return total / float64((n+batch-1)/batch*batch)
}

func feed(chs []chan int, n int) {
	for i := 0; i < n; i++ {
		chs[i%len(chs)] <- i
	}
}

func makeChannels(k, capacity int) []chan int {
	chs := make([]chan int, k)
	for i := range chs {
		chs[i] = make(chan int, capacity)
	}
	return chs
}

func selectFed2(capacity int) func(int) float64 {
	return func(n int) float64 {
		chs := makeChannels(2, capacity)
		a, b := chs[0], chs[1]
		start := clock()
		go feed(chs, n)
		for i := 0; i < n; i++ {
			select {
			case <-a:
			case <-b:
			}
		}
		return per(start, n)
	}
}

func selectFed8(n int) float64 {
	c := makeChannels(8, 64)
	start := clock()
	go feed(c, n)
	c0, c1, c2, c3, c4, c5, c6, c7 := c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
	for i := 0; i < n; i++ {
		select {
		case <-c0:
		case <-c1:
		case <-c2:
		case <-c3:
		case <-c4:
		case <-c5:
		case <-c6:
		case <-c7:
		}
	}
	return per(start, n)
}

func selectOtherwise(n int) float64 {
	ch := make(chan int)
	start := clock()
	for i := 0; i < n; i++ {
		select {
		case <-ch:
		default:
		}
	}
	return per(start, n)
}

func selectTimeout(capacity int) func(int) float64 {
	return func(n int) float64 {
		chs := makeChannels(1, capacity)
		ch := chs[0]
		start := clock()
		go feed(chs, n)
		for i := 0; i < n; i++ {
			select {
			case <-ch:
			case <-time.After(time.Hour):
			}
		}
		return per(start, n)
	}
}

const spawnBatch = 100

func spawnFinish(n int) float64 {
	var wg sync.WaitGroup
	start := clock()
	for done := 0; done < n; done += spawnBatch {
		wg.Add(spawnBatch)
		for i := 0; i < spawnBatch; i++ {
			go wg.Done()
		}
		wg.Wait()
	}
	return per(start, (n+spawnBatch-1)/spawnBatch*spawnBatch)
}

func spawnJoin(n int) float64 {
	start := clock()
	for i := 0; i < n; i++ {
		end := make(chan struct{})
		go func() { close(end) }()
		<-end
	}
	return per(start, n)
}

// Parks `n` goroutines on a channel; gives the function that lets them go.
func park(n int) func() {
	ch := make(chan int)
	var begun, ended sync.WaitGroup
	begun.Add(n)
	ended.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			begun.Done()
			<-ch
			ended.Done()
		}()
	}
	begun.Wait()
	runtime.Gosched()
	return func() {
		close(ch)
		ended.Wait()
	}
}

func parkedBytes(n int) float64 {
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.StackInuse + m.HeapAlloc
	}
	before := used()
	release := park(n)
	after := used()
	release()
	if after < before {
		return 0
	}
	return float64(after-before) / float64(n)
}

func cancelWaiting(n int) float64 {
	release := park(n)
	start := clock()
	release()
	return per(start, n)
}

func workerPool(n int) float64 {
	jobs, results := make(chan int, 64), make(chan int, 64)
	var workers sync.WaitGroup
	workers.Add(4)
	start := clock()
	for i := 0; i < 4; i++ {
		go func() {
			for job := range jobs {
				results <- job * 2
			}
			workers.Done()
		}()
	}
	go func() {
		for i := 0; i < n; i++ {
			jobs <- i
		}
		close(jobs)
		workers.Wait()
		close(results)
	}()
	for range results {
	}
	return per(start, n)
}

func sieve(n int) float64 {
	filter := func(in <-chan int, out chan<- int, prime int) {
		for v := range in {
			if v%prime != 0 {
				out <- v
			}
		}
		close(out)
	}
	numbers := make(chan int)
	stop := make(chan struct{})
	start := clock()
	go func() {
		for i := 2; ; i++ {
			select {
			case numbers <- i:
			case <-stop:
				close(numbers)
				return
			}
		}
	}()
	in := numbers
	for i := 0; i < n; i++ {
		prime := <-in
		out := make(chan int)
		go filter(in, out, prime)
		in = out
	}
	ms := (clock() - start) / 1e6
	close(stop)
	for range in {
	}
	return ms
}

func node(first, leaves int, to chan<- int) {
	if leaves == 1 {
		to <- first
		return
	}
	from := make(chan int)
	for i := 0; i < 10; i++ {
		go node(first+i*leaves/10, leaves/10, from)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-from
	}
	to <- sum
}

func skynet(n int) float64 {
	leaves := 1
	for leaves*10 <= n {
		leaves *= 10
	}
	to := make(chan int)
	start := clock()
	go node(0, leaves, to)
	<-to
	return per(start, leaves)
}

func timers(n int) float64 {
	start := clock()
	for i := 0; i < n; i++ {
		time.NewTimer(time.Hour).Stop()
	}
	return per(start, n)
}

// The sizes are those of channel.cpp.
var cases = []struct {
	name string
	size int
	run  func(int) float64
}{
	{"rendezvous ping-pong", 400_000, pingPong},
	{"rendezvous one way", 400_000, flow(1, 1, 0)},
	{"1 to 1, capacity 1", 400_000, flow(1, 1, 1)},
	{"1 to 1, capacity 64", 1_000_000, flow(1, 1, 64)},
	{"1 to 1, capacity 1024", 1_000_000, flow(1, 1, 1024)},
	{"4 to 1, capacity 64", 1_000_000, flow(4, 1, 64)},
	{"4 to 4, capacity 64", 1_000_000, flow(4, 4, 64)},
	{"select, 2 ready", 400_000, selectReady},
	{"select, 2 fed in turns", 400_000, selectFed2(64)},
	{"select, 2 fed in turns, parks", 200_000, selectFed2(0)},
	{"select, 8 fed in turns", 200_000, selectFed8},
	{"select, otherwise, empty", 1_000_000, selectOtherwise},
	{"select, timeout, ready", 200_000, selectTimeout(64)},
	{"select, timeout, parks", 200_000, selectTimeout(0)},
	{"go and finish", 200_000, spawnFinish},
	{"spawn and join", 200_000, spawnJoin},
	{"group go and finish", 200_000, spawnFinish},
	{"parked task, bytes", 100_000, parkedBytes},
	{"worker pool of 4", 1_000_000, workerPool},
	{"prime sieve, 2000 primes, ms", 2_000, sieve},
	{"skynet, 100000 leaves", 100_000, skynet},
	{"timer made and dropped", 200_000, timers},
	{"cancel 100000 waiting tasks", 100_000, cancelWaiting},
}

func main() {
	scale := flag.Float64("scale", 1, "multiplies the work of every case")
	only := flag.String("only", "", "only cases whose name contains this")
	flag.Parse()
	if flag.NArg() > 0 || !(*scale > 0) {
		flag.Usage()
		os.Exit(2)
	}
	runtime.GOMAXPROCS(1)
	for _, c := range cases {
		if strings.Contains(c.name, *only) {
			n := int(float64(c.size) * *scale)
			if n < 10 {
				n = 10
			}
			runtime.GC()
			fmt.Printf("%s\t%.2f\n", c.name, c.run(n))
		}
	}
}
