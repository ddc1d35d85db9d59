// What the benchmarks of Go's own runtime measure, under their names; a figure is for one message or select.

package main

import (
	"sync"
	"sync/atomic"
)

// Runs `f` once for each thread, and waits for all.
func onEachThread(f func()) {
	var wg sync.WaitGroup
	wg.Add(threads)
	for i := 0; i < threads; i++ {
		go func() {
			f()
			wg.Done()
		}()
	}
	wg.Wait()
}

func chanSync(n int) float64 {
	ch := make(chan int)
	var wg sync.WaitGroup
	wg.Add(2)
	side := func(first int) {
		for i := 0; i < n; i++ {
			if i%2 == first {
				ch <- i
			} else {
				<-ch
			}
		}
		wg.Done()
	}
	start := clock()
	go side(0)
	go side(1)
	wg.Wait()
	return per(start, n)
}

// Messages to be sent, which several producers take by the thousand.
type supply struct {
	all  int
	left int64
}

const supplyBatch = 1000

func newSupply(n int) *supply {
	all := atLeast1(n / supplyBatch)
	return &supply{all, int64(all)}
}

func (s *supply) take() bool { return atomic.AddInt64(&s.left, -1) >= 0 }

func prodCons(capacity, steps int) func(int) float64 {
	return func(n int) float64 {
		ch := make(chan int, capacity)
		messages := newSupply(n)
		var wg sync.WaitGroup
		wg.Add(2 * threads)
		start := clock()
		for i := 0; i < threads; i++ {
			go func() {
				x := uint64(1)
				for messages.take() {
					for i := 0; i < supplyBatch; i++ {
						x = work(x, steps)
						ch <- 1
					}
				}
				ch <- 0 // ends one consumer
				atomic.StoreUint64(&sink, x)
				wg.Done()
			}()
			go func() {
				x := uint64(1)
				for <-ch != 0 {
					x = work(x, steps)
				}
				atomic.StoreUint64(&sink, x)
				wg.Done()
			}()
		}
		wg.Wait()
		return per(start, messages.all*supplyBatch)
	}
}

func selectProdCons(n int) float64 {
	ch, timer, closing := make(chan int, 128), make(chan int), make(chan int, 1)
	messages := newSupply(n)
	var wg sync.WaitGroup
	wg.Add(2 * threads)
	start := clock()
	for i := 0; i < threads; i++ {
		go func() {
			defer wg.Done()
			x := uint64(1)
			for messages.take() {
				for i := 0; i < supplyBatch; i++ {
					x = work(x, 100)
					select {
					case ch <- 1:
					case <-timer:
						return
					case <-closing:
						return
					}
				}
			}
			ch <- 0
			atomic.StoreUint64(&sink, x)
		}()
		go func() {
			defer wg.Done()
			x := uint64(1)
			for {
				select {
				case v := <-ch:
					if v == 0 {
						atomic.StoreUint64(&sink, x)
						return
					}
				case <-timer:
					return
				case <-closing:
					return
				}
				x = work(x, 100)
			}
		}()
	}
	wg.Wait()
	return per(start, messages.all*supplyBatch)
}

const burst = 100

// Sends a burst and receives one, `rounds` times.
func bursts(ch chan int, rounds int) {
	for i := 0; i < rounds; i++ {
		for j := 0; j < burst; j++ {
			ch <- j
		}
		for j := 0; j < burst; j++ {
			<-ch
		}
	}
}

func chanUncontended(n int) float64 {
	rounds := atLeast1(n / burst / threads)
	start := clock()
	onEachThread(func() { bursts(make(chan int, burst), rounds) })
	return per(start, rounds*threads*burst)
}

func chanContended(n int) float64 {
	rounds := atLeast1(n / burst / threads)
	ch := make(chan int, burst*threads)
	start := clock()
	onEachThread(func() { bursts(ch, rounds) })
	return per(start, rounds*threads*burst)
}

func passRound(a, b chan int, n int) {
	a <- 0
	for i := 0; i < n; i++ {
		select {
		case <-a:
			b <- 0
		case <-b:
			a <- 0
		}
	}
}

func selectUncontended(n int) float64 {
	share := atLeast1(n / threads)
	start := clock()
	onEachThread(func() { passRound(make(chan int, 1), make(chan int, 1), share) })
	return per(start, share*threads)
}

func selectAsyncContended(n int) float64 {
	share := atLeast1(n / threads)
	a, b := make(chan int, threads), make(chan int, threads)
	start := clock()
	onEachThread(func() { passRound(a, b, share) })
	return per(start, share*threads)
}

func selectSyncContended(n int) float64 {
	share := atLeast1(n / threads)
	a, b, c, done := make(chan int), make(chan int), make(chan int), make(chan int)
	for i := 0; i < threads; i++ {
		go func() {
			for {
				select {
				case a <- 0:
				case b <- 0:
				case c <- 0:
				case <-done:
					return
				}
			}
		}()
	}
	start := clock()
	onEachThread(func() {
		for i := 0; i < share; i++ {
			select {
			case <-a:
			case <-b:
			case <-c:
			}
		}
	})
	ns := per(start, share*threads)
	close(done)
	return ns
}

func selectNonblock(n int) float64 {
	a, b, c, d := make(chan int), make(chan int), make(chan int, 1), make(chan int, 1)
	rounds := atLeast1(n / 4)
	start := clock()
	for i := 0; i < rounds; i++ {
		select {
		case <-a:
		default:
		}
		select {
		case b <- 0:
		default:
		}
		select {
		case <-c:
		default:
		}
		select {
		case d <- 0:
		default:
		}
	}
	return per(start, rounds*4)
}

// A thousand goroutines that all select on one channel, on which nothing comes, and on one each, on which it does.
func chanPopular(n int) float64 {
	tasks := 1000
	if n < tasks {
		tasks = n
	}
	rounds := atLeast1(n / tasks)
	shared, own := make(chan int), makeChannels(tasks, 0)
	var wg sync.WaitGroup
	wg.Add(tasks)
	for _, ch := range own {
		ch := ch
		go func() {
			for i := 0; i < rounds; i++ {
				select {
				case <-shared:
				case <-ch:
				}
			}
			wg.Done()
		}()
	}
	start := clock()
	for i := 0; i < rounds; i++ {
		for _, ch := range own {
			ch <- 1
		}
	}
	wg.Wait()
	return per(start, rounds*tasks)
}

func chanSem(n int) float64 {
	share := atLeast1(n / threads)
	places := make(chan int, threads)
	start := clock()
	onEachThread(func() {
		for i := 0; i < share; i++ {
			places <- 0
			<-places
		}
	})
	return per(start, share*threads)
}

func pingPongHog(n int) float64 {
	stop, there, back := make(chan int), make(chan int), make(chan int)
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	go func() {
		for v := range there {
			back <- v
		}
	}()
	start := clock()
	for i := 0; i < n/2; i++ {
		there <- i
		<-back
	}
	ns := per(start, n)
	close(stop)
	close(there)
	return ns
}

var runtimeCases = []benchCase{
	{"ChanSync", 400_000, chanSync},
	{"ChanProdCons0", 400_000, prodCons(0, 0)},
	{"ChanProdCons10", 1_000_000, prodCons(10, 0)},
	{"ChanProdCons100", 1_000_000, prodCons(100, 0)},
	{"ChanProdConsWork0", 400_000, prodCons(0, 100)},
	{"ChanProdConsWork10", 400_000, prodCons(10, 100)},
	{"ChanProdConsWork100", 400_000, prodCons(100, 100)},
	{"ChanUncontended", 2_000_000, chanUncontended},
	{"ChanContended", 2_000_000, chanContended},
	{"SelectUncontended", 1_000_000, selectUncontended},
	{"SelectSyncContended", 200_000, selectSyncContended},
	{"SelectAsyncContended", 1_000_000, selectAsyncContended},
	{"SelectNonblock", 4_000_000, selectNonblock},
	{"SelectProdCons", 200_000, selectProdCons},
	{"ChanPopular", 200_000, chanPopular},
	{"ChanSem", 1_000_000, chanSem},
	{"PingPongHog", 50_000, pingPongHog},
}
