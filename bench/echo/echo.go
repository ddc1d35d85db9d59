// An echo server as one writes it in Go: echo_go PORT.
package main

import (
	"fmt"
	"net"
	"os"
)

func session(c net.Conn) {
	defer c.Close()
	buffer := make([]byte, 16*1024)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		if _, err = c.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo_go:", err)
		os.Exit(1)
	}
	fmt.Println("listening")
	for {
		if c, err := l.Accept(); err == nil {
			go session(c)
		}
	}
}
