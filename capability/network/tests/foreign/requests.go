// Reads requests that the grammar accepted as Go's HTTP server, client and URL parser do, and says where they find anything else
// than the grammar did.
//
// Usage: requests CASES ADDRESSES: a JSON object in each line, and an address in each line.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path"
	"reflect"
	"sort"
	"strings"
)

// A request as it is sent, and what the grammar finds in it.
type request struct {
	Head          string      // request line and fields
	Method        string      // as in the request line
	Target        string      // as in the request line
	URL           string      // scheme, host and target
	HostField     string      // the value of the Host field
	Host          string      // without a port, without brackets
	Literal       bool        // whether the host is an address
	Port          string      // empty where it is the scheme's own
	Path          string      // as it is sent
	Decoded       string      // its segments, decoded
	Query         string      // what follows the question mark
	Names         []string    // names of the query, none where they are not certain
	Certain       bool        // whether they are
	Fields        [][2]string // header fields
	ContentLength int64       // -1 where the head says nothing of it
}

func main() {
	count := 0
	for _, line := range lines(os.Args[1]) {
		var r request
		check(json.Unmarshal([]byte(line), &r))
		for _, differs := range []string{server(r), mux(r), client(r), parser(r), query(r), literal(r)} {
			if differs != "" {
				log.Fatalf("%s\n%s", differs, line)
			}
		}
		count++
	}
	for _, line := range lines(os.Args[2]) {
		if !public(netip.MustParseAddr(line)) {
			log.Fatalf("%s is not public", line)
		}
		count++
	}
	fmt.Printf("%d agree\n", count)
}

// server reads the request as net/http does.
func server(r request) string {
	got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(r.Head)))
	if err != nil {
		return "the server refuses it: " + err.Error()
	}
	length := r.ContentLength
	if length < 0 {
		length = 0
	}
	for _, field := range r.Fields {
		found := false
		for name, values := range got.Header {
			for _, value := range values {
				found = found || strings.EqualFold(name, field[0]) && value == field[1]
			}
		}
		if !found && !strings.EqualFold(field[0], "content-length") {
			return "the server has no field " + field[0]
		}
	}
	return differ("server", []any{got.Method, got.RequestURI, got.Host, got.URL.Path, got.URL.EscapedPath(), got.URL.RawQuery, got.ContentLength, len(got.TransferEncoding)},
		[]any{r.Method, r.Target, r.HostField, r.Decoded, r.Path, r.Query, length, 0})
}

// mux answers a redirect where it would rather have another path.
func mux(r request) string {
	got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(r.Head)))
	check(err)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, got)
	clean := path.Clean(r.Decoded)
	if strings.HasSuffix(r.Decoded, "/") && clean != "/" {
		clean += "/"
	}
	return differ("mux", []any{answer.Code, clean}, []any{http.StatusNoContent, r.Decoded})
}

// client sends the request as net/http does.
func client(r request) string {
	sent, err := http.NewRequest(r.Method, r.URL, nil)
	if err != nil {
		return "the client refuses it: " + err.Error()
	}
	var head bytes.Buffer
	check(sent.Write(&head))
	line, rest, _ := strings.Cut(head.String(), "\r\n")
	host, _, _ := strings.Cut(rest, "\r\n")
	target := r.Target
	if r.Query == "" {
		// An empty query is kept.
		target = strings.TrimSuffix(target, "?")
		line = strings.Replace(line, "? HTTP", " HTTP", 1)
	}
	// Userinfo, fragments and default ports are no part of what was accepted.
	return differ("client", []any{line, host}, []any{r.Method + " " + target + " HTTP/1.1", "Host: " + r.HostField})
}

// parser reads the whole URL.
func parser(r request) string {
	got, err := url.Parse(r.URL)
	if err != nil {
		return "the parser refuses it: " + err.Error()
	}
	return differ("parser", []any{got.Hostname(), got.Port(), got.Path, got.RawQuery, got.Fragment, got.User == nil},
		[]any{r.Host, r.Port, r.Decoded, r.Query, "", true})
}

func query(r request) string {
	if !r.Certain {
		return ""
	}
	values, err := url.ParseQuery(r.Query)
	if err != nil {
		return "the query is refused: " + err.Error()
	}
	return differ("query", []any{names(values)}, []any{unique(r.Names)})
}

func literal(r request) string {
	return differ("literal", []any{net.ParseIP(r.Host) != nil}, []any{r.Literal})
}

func public(address netip.Addr) bool {
	address = address.Unmap()
	return address.IsGlobalUnicast() && !address.IsPrivate() && !address.IsLoopback() && !address.IsLinkLocalUnicast() && !address.IsMulticast()
}

func names(values url.Values) []string {
	var all []string
	for name := range values {
		all = append(all, name)
	}
	return unique(all)
}

func unique(all []string) []string {
	seen, sorted := map[string]bool{}, []string{}
	for _, name := range all {
		if !seen[name] {
			seen[name] = true
			sorted = append(sorted, name)
		}
	}
	sort.Strings(sorted)
	return sorted
}

func differ(what string, got, expected []any) string {
	for i := range got {
		if !reflect.DeepEqual(got[i], expected[i]) {
			return fmt.Sprintf("%s finds %#v, the grammar %#v", what, got[i], expected[i])
		}
	}
	return ""
}

func lines(file string) []string {
	text, err := os.ReadFile(file)
	check(err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
