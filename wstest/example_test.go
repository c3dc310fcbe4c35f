package wstest_test

import (
	"fmt"
	"io"
	"net/http"

	"github.com/tidewire/ws/wstest"
)

// A server and its client without a network.
func ExampleListener() {
	l := new(wstest.Listener)
	defer l.Close()
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello, %s", r.RemoteAddr)
	}))
	client := &http.Client{Transport: &http.Transport{DialContext: l.DialContext}}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://any.example/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	fmt.Println(string(body), err)
	// Output: hello, 192.0.2.2:1 <nil>
}

// A connection that breaks in the middle of a word.
func ExampleFaulty() {
	a, b := wstest.Pipe()
	defer b.Close()
	c := wstest.Faulty(a, wstest.Faults{WriteCut: new(4)})
	_, err := io.WriteString(c, "unbreakable")
	fmt.Println(err)
	got, err := io.ReadAll(b)
	fmt.Println(string(got), err)
	// Output:
	// write memory 192.0.2.1:1->192.0.2.1:2: connection reset by peer
	// unbr <nil>
}
