package main

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/tidewire/ws/router/schema"
)

// Clients that are out there go on working. testdata/asyncapi.json is the API that
// they know: go run . -schema testdata writes a new one, when nothing breaks.
func TestClientsStillWork(t *testing.T) {
	known, err := os.ReadFile("testdata/asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	now, err := newChat().routes().AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	broken, err := schema.Breaking(known, now)
	if err != nil || len(broken) > 0 {
		t.Error(err, broken)
	}
	if !bytes.Equal(known, now) {
		t.Error("the API has changed: testdata/asyncapi.json")
	}
}

// A field that is gone is named.
func TestBreakingChange(t *testing.T) {
	known, err := os.ReadFile("testdata/asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	broken, err := schema.Breaking(known, bytes.ReplaceAll(known, []byte(`"text"`), []byte(`"words"`)))
	want := []string{"messages item.text: removed", "post data.text: removed", "post data.words: now required"}
	if err != nil || !slices.Equal(broken, want) {
		t.Errorf("%q, %v; want %q", broken, err, want)
	}
}
