//go:build goexperiment.jsonv2

package codec

import "encoding/json/v2"

// JSONv2 is encoding/json/v2 as a Codec, with its own rules: names are matched
// exactly, duplicates are refused, nil slices and maps are empty. It is there when
// Go's experiment jsonv2 is on.
var JSONv2 Codec = InJSON(jsonV2{})

type jsonV2 struct{}

func (jsonV2) Name() string { return "json" }

func (jsonV2) Binary() bool { return false }

func (jsonV2) Append(b []byte, v any) ([]byte, error) {
	w := appender{b}
	if err := json.MarshalWrite(&w, v); err != nil {
		return b, err
	}
	return w.b, nil
}

func (jsonV2) Decode(p []byte, v any) error { return json.Unmarshal(p, v) }
