package main

import "sync"

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

func flow(senders, receivers, capacity int) func(int) float64 {
	return func(n int) float64 {
		ch := make(chan int, capacity)
		var sending, receiving sync.WaitGroup
		sending.Add(senders)
		receiving.Add(receivers)
		start := clock()
		for i := 0; i < senders; i++ {
			go func() {
				for i := 0; i < n/senders; i++ {
					ch <- i
				}
				sending.Done()
			}()
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

var flowCases = []benchCase{
	{"rendezvous ping-pong", 400_000, pingPong},
	{"rendezvous one way", 400_000, flow(1, 1, 0)},
	{"1 to 1, capacity 1", 400_000, flow(1, 1, 1)},
	{"1 to 1, capacity 64", 1_000_000, flow(1, 1, 64)},
	{"1 to 1, capacity 1024", 1_000_000, flow(1, 1, 1024)},
	{"4 to 1, capacity 64", 1_000_000, flow(4, 1, 64)},
	{"4 to 4, capacity 64", 1_000_000, flow(4, 4, 64)},
}
