package main

import "time"

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

var selectCases = []benchCase{
	{"select, 2 ready", 400_000, selectReady},
	{"select, 2 fed in turns", 400_000, selectFed2(64)},
	{"select, 2 fed in turns, parks", 200_000, selectFed2(0)},
	{"select, 8 fed in turns", 200_000, selectFed8},
	{"select, otherwise, empty", 1_000_000, selectOtherwise},
	{"select, timeout, ready", 200_000, selectTimeout(64)},
	{"select, timeout, parks", 200_000, selectTimeout(0)},
}
