package schema_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"time"

	"github.com/tidewire/ws/router/schema"
)

// The types of the tests have everything that encoding/json knows.

type Colour string

func (Colour) Enum() []Colour { return []Colour{"red", "green"} }

type Level int

func (Level) Enum() []Level { return []Level{1, 2, 3} }

// Day is as most of Go's enumerations are: numbers, sent as their names.
type Day int

func (Day) Enum() []Day { return []Day{0, 1} }

func (d Day) MarshalText() ([]byte, error) { return []byte([...]string{"mon", "tue"}[d]), nil }

type Base struct {
	ID      uint64    `json:"id,string" doc:"Decimal, because JavaScript has no such integers"`
	Created time.Time `json:"created"`
}

type Author struct {
	Name   string  `json:"name"`
	Banned bool    `json:"banned"` // hidden by Post's own
	Email  *string `json:"email,omitempty"`
}

type Post struct {
	Base
	*Author
	Banned    string            `json:"banned"`
	Text      string            `json:"text" doc:"What it says.\nMarkdown, not *HTML*/."`
	Colour    Colour            `json:"colour"`
	Level     Level             `json:"level,omitzero"`
	Days      map[Day]Day       `json:"days"`
	Tags      []string          `json:"tags"`
	Labels    map[string]string `json:"labels,omitempty"`
	Counts    map[int]*int      `json:"counts"`
	Data      []byte            `json:"data"`
	Key       [2]byte           `json:"key"`
	Matrix    [][3]float64      `json:"matrix"`
	Addr      netip.Addr        `json:"addr"`
	Timeout   time.Duration     `json:"timeout"`
	Any       any               `json:"any"`
	Raw       json.RawMessage   `json:"raw"`
	Number    json.Number       `json:"number"`
	Parent    *Post             `json:"parent"`
	Replies   Thread            `json:"replies"`
	Inline    struct{ A, B int }
	OddName   int     `json:"odd-name"`
	Quoted    *bool   `json:"quoted,string"`
	Seconds   float32 `json:"seconds,omitempty"`
	Untagged  int8
	Ignored   chan int         `json:"-"`
	unseen    func()           //nolint:unused // it must not be seen
	Interface interface{ M() } `json:"interface,omitempty"`
}

type Thread []Post

type Tree map[string]Tree

type Page[T any] struct {
	Items []T  `json:"items"`
	Next  *int `json:"next"`
}

type Empty struct{}

// Error and Client are names that the generated code has itself.
type Error struct{ Code int }

type Client struct{ Error Error }

func api() *schema.API {
	return &schema.API{
		Title: "Test", Version: "1.2.3", Description: "An API with everything.",
		Messages: []schema.Message{
			{Type: "post", Kind: schema.Request, Doc: "Posts.\nReturns where.", In: reflect.TypeFor[Post](), Out: reflect.TypeFor[Page[Post]]()},
			{Type: "posts", Kind: schema.Request, In: reflect.TypeFor[Empty](), Out: reflect.TypeFor[Page[Page[*Base]]]()},
			{Type: "sum", Kind: schema.Request, In: reflect.TypeFor[[]int](), Out: reflect.TypeFor[int]()},
			{Type: "odd \"type\"", Kind: schema.Request, In: reflect.TypeFor[*Client](), Out: reflect.TypeFor[Tree]()},
			{Type: "watch", Kind: schema.Stream, In: reflect.TypeFor[Colour](), Out: reflect.TypeFor[Level]()},
			{Type: "typing", Kind: schema.Event, Doc: "Somebody types.", In: reflect.TypeFor[string]()},
			{Type: "typing", Kind: schema.Emitted, Doc: "Somebody else types.", Out: reflect.TypeFor[Author]()},
			{Type: "typing", Kind: schema.Published, Doc: "I type.", In: reflect.TypeFor[Level]()},
		},
	}
}
