package codec

import (
	"encoding/json"
	"errors"
)

// Position is a place in the history of a room (package hub). Offsets rise, but
// not by one. They mean nothing in another epoch, which begins when a history
// has been lost. In JSON a position is [offset,"epoch"]; the zero one is null.
type Position struct {
	Offset uint64
	Epoch  string
}

// MarshalJSON encodes p as [offset,"epoch"].
func (p Position) MarshalJSON() ([]byte, error) {
	if p == (Position{}) {
		return []byte("null"), nil
	}
	return json.Marshal([2]any{p.Offset, p.Epoch})
}

var errPosition = errors.New(`codec: a position is [offset,"epoch"]`)

// UnmarshalJSON decodes what MarshalJSON has encoded.
func (p *Position) UnmarshalJSON(b []byte) error {
	*p = Position{}
	if absent(b) {
		return nil
	}
	var parts []*json.RawMessage
	if json.Unmarshal(b, &parts) != nil || len(parts) != 2 || parts[0] == nil || parts[1] == nil ||
		json.Unmarshal(*parts[0], &p.Offset) != nil || json.Unmarshal(*parts[1], &p.Epoch) != nil {
		*p = Position{}
		return errPosition
	}
	return nil
}
