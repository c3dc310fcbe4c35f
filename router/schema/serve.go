package schema

import (
	"bytes"
	_ "embed"
	"flag"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Flag adds the flag -schema to a program's flags: a folder to write to. The
// function that it returns, called after the flags have been parsed, writes
// asyncapi.json, client.ts and client.js there and reports true; if the flag
// was not given it does nothing and reports false. The program is then to end:
//
//	generate := schema.Flag(flag.CommandLine)
//	flag.Parse()
//	if done, err := generate(r.API()); done {
//		...
//	}
func Flag(flags *flag.FlagSet) func(*API) (done bool, err error) {
	folder := flags.String("schema", "", "write asyncapi.json, client.ts and client.js to this `folder`, and exit")
	return func(a *API) (bool, error) {
		if *folder == "" {
			return false, nil
		}
		return true, a.write(*folder)
	}
}

// files returns everything that is made of an API.
func (a *API) files() (map[string][]byte, error) {
	document, err := a.AsyncAPI()
	if err != nil {
		return nil, err
	}
	client, err := a.TypeScript()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"asyncapi.json": document, "client.ts": client, "client.js": JavaScript()}, nil
}

func (a *API) write(folder string) error {
	files, err := a.files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o644); err != nil {
			return fmt.Errorf("schema: %w", err)
		}
	}
	return nil
}

//go:embed explorer.html
var explorerHTML string

var explorer = template.Must(template.New("explorer").Parse(explorerHTML))

// Handler serves asyncapi.json, client.ts and client.js, and at its root a page
// from which the API at the given URL (absolute, or relative to the page) can be tried out. It
// panics if the API can't be described.
func (a *API) Handler(url string) http.Handler {
	files, err := a.files()
	if err != nil {
		panic(err)
	}
	var page bytes.Buffer
	if err := explorer.Execute(&page, struct{ Title, URL string }{a.Title, url}); err != nil {
		panic(err)
	}
	files["index.html"] = page.Bytes()
	started := time.Now()
	mux := http.NewServeMux()
	for name, b := range files {
		serve := func(w http.ResponseWriter, r *http.Request) {
			if filepath.Ext(name) == ".ts" { // not MPEG
				w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			}
			http.ServeContent(w, r, name, started, bytes.NewReader(b))
		}
		if name == "index.html" {
			mux.HandleFunc("GET /{$}", serve)
		} else {
			mux.HandleFunc("GET /"+name, serve)
		}
	}
	return mux
}
