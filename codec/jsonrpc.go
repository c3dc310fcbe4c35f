package codec

import (
	"encoding/json"
	"errors"
	"strconv"
)

// JSONRPC is JSON in the envelopes of JSON-RPC 2.0, batches included. Ids may be
// strings. Where JSON-RPC has no word, the Language Server Protocol's are used:
// "$/cancelRequest" gives up a request, and "$/progress" has the items of a
// streamed reply, whose result is null. An error's data has the code of package
// router and the details. What is sent with a request or an event has to be an
// object or an array in JSON.
//
// Clients that offer no subprotocol get it as Options.Codecs[""].
var JSONRPC Codec = jsonRPC{}

var _ Enveloper = jsonRPC{}

type jsonRPC struct{ jsonCodec }

func (jsonRPC) Name() string { return "jsonrpc" }

const (
	rpcCancel   = "$/cancelRequest"
	rpcProgress = "$/progress"
	cancelType  = "$cancel"

	rpcParseError     = -32700
	rpcInvalidRequest = -32600
	rpcServerError    = -32000 // of codes that are not in rpcCodes
)

// rpcCodes are the numbers of package router's codes. parse_error is not among
// those: it is how ScanEnvelope tells AppendEnvelope of a text that is no JSON.
var rpcCodes = map[string]int{
	"parse_error":  rpcParseError,
	"bad_envelope": rpcInvalidRequest,
	"unknown_type": -32601,
	"bad_payload":  -32602,
	"invalid":      -32602,
	"internal":     -32603,
	"canceled":     -32800, // the Language Server Protocol's
	"unauthorized": -32001,
	"forbidden":    -32002,
	"not_found":    -32003,
	"conflict":     -32004,
	"rate_limited": -32005,
	"timeout":      -32006,
	"unavailable":  -32007,
}

// rpcNames turns the numbers back that have one meaning only.
var rpcNames = func() map[int]string {
	names := make(map[int]string)
	for name, n := range rpcCodes {
		names[n] = name
	}
	names[-32602] = "bad_payload"
	names[rpcParseError] = "bad_envelope"
	return names
}()

type rpcError struct {
	Code    int      `json:"code"`
	Message string   `json:"message"`
	Data    *rpcData `json:"data,omitempty"`
}

type rpcData struct {
	Code    string `json:"code"`
	Details any    `json:"details,omitempty"`
	RetryMS uint64 `json:"retry_ms,omitempty"`
}

var errParse = &Error{Code: "parse_error", Message: "Parse error"}

func invalidRequest(text string) error { return errors.New("Invalid Request: " + text) }

func (jsonRPC) ScanEnvelope(p []byte, e *Envelope) error {
	var id, method, params, result, failure, version, room, pos []byte
	o := openObject(p)
	for o.next() {
		switch string(o.key) {
		case "id":
			id = o.value
		case "method":
			method = o.value
		case "params":
			params = o.value
		case "result":
			result = o.value
		case "error":
			failure = o.value
		case "jsonrpc":
			version = o.value
		case "room":
			room = o.value
		case "pos":
			pos = o.value
		}
	}
	switch {
	case o.whole():
	case json.Valid(p):
		return invalidRequest("not an object")
	default:
		return errParse
	}
	if !e.setRef(id) {
		return invalidRequest("id is neither a string nor a number")
	}
	if string(version) != `"2.0"` {
		return invalidRequest(`jsonrpc is not "2.0"`)
	}
	if err := e.scanPlace(room, pos); err != nil {
		return invalidRequest(err.Error())
	}
	if method == nil {
		return e.scanResponse(id, result, failure)
	}
	var ok bool
	if e.Type, ok = parseType(method); !ok || e.Type == nil {
		return invalidRequest("method is not a string, or empty")
	}
	if params != nil && params[0] != '{' && params[0] != '[' {
		return invalidRequest("params is neither an object nor an array")
	}
	e.Data = params
	switch string(e.Type) {
	case rpcCancel:
		return e.scanCancel(params)
	case rpcProgress:
		return e.scanProgress(params)
	}
	return nil
}

// setRef takes an id in any of its forms. An id that package router would give
// is a number; everything else is kept as it stands.
func (e *Envelope) setRef(id []byte) bool {
	if absent(id) {
		return true
	}
	var ok bool
	if e.ID, e.HasID, ok = parseUint(id); ok {
		return true
	}
	if id[0] != '"' && (id[0] < '0' || id[0] > '9') && id[0] != '-' {
		return false
	}
	e.Ref, e.HasID = id, true
	return true
}

func (e *Envelope) scanResponse(id, result, failure []byte) error {
	switch {
	case (result == nil) == (failure == nil):
		return invalidRequest("neither a request nor a response")
	case id == nil:
		return invalidRequest("response without an id")
	case failure == nil:
		e.Data = result
		return nil
	}
	var f rpcError
	if json.Unmarshal(failure, &f) != nil {
		return invalidRequest("error is no error object")
	}
	e.Error = &Error{Code: rpcNames[f.Code], Message: f.Message}
	if f.Data != nil && f.Data.Code != "" {
		e.Error.Code, e.Error.Details, e.Error.RetryMS = f.Data.Code, f.Data.Details, f.Data.RetryMS
	}
	if e.Error.Code == "" {
		e.Error.Code = strconv.Itoa(f.Code)
	}
	return nil
}

func (e *Envelope) scanCancel(params []byte) error {
	e.Type, e.Data = []byte(cancelType), nil
	id := member(params, "id")
	if absent(id) || !e.setRef(id) {
		return invalidRequest("nothing to cancel")
	}
	return nil
}

func (e *Envelope) scanProgress(params []byte) error {
	token := member(params, "token")
	if absent(token) || !e.setRef(token) {
		return invalidRequest("progress without a token")
	}
	e.Type, e.More, e.Data = nil, true, member(params, "value")
	return nil
}

// member returns the value of one member of a valid object.
func member(p []byte, key string) (v []byte) {
	o := openObject(p)
	for o.next() {
		if string(o.key) == key {
			v = o.value
		}
	}
	return v
}

func (c jsonRPC) AppendEnvelope(b []byte, e *Envelope, v any) ([]byte, error) {
	start := len(b)
	b = append(b, '{')
	if e.Room != nil {
		b = appendPlace(b, e.Room, e.Pos)
	}
	b = append(b, `"jsonrpc":"2.0"`...)
	var err error
	switch {
	case string(e.Type) == cancelType:
		b = append(appendID(append(b, `,"method":"`+rpcCancel+`","params":{`...), "id", e), '}')
	case e.Type != nil:
		b = appendString(append(b, `,"method":`...), e.Type)
		if e.HasID {
			b = appendID(append(b, ','), "id", e)
		}
		if v != nil {
			b, err = c.appendParams(append(b, `,"params":`...), v)
		}
	case e.More:
		b = appendID(append(b, `,"method":"`+rpcProgress+`","params":{`...), "token", e)
		b, err = c.Append(append(b, `,"value":`...), v)
		b = append(b, '}')
	case e.Error != nil:
		b = appendID(append(b, ','), "id", e)
		b, err = c.Append(append(b, `,"error":`...), toRPC(e.Error))
	default:
		b = appendID(append(b, ','), "id", e)
		b, err = c.Append(append(b, `,"result":`...), v)
	}
	if err != nil {
		return b[:start], err
	}
	return append(b, '}'), nil
}

// errScalar is about JSON-RPC 2.0, 4.2.
var errScalar = errors.New("JSON-RPC needs an object or an array for parameters")

func (c jsonRPC) appendParams(b []byte, v any) ([]byte, error) {
	n := len(b)
	b, err := c.Append(b, v)
	if err == nil && b[n] != '{' && b[n] != '[' {
		err = errScalar
	}
	return b, err
}

func appendID(b []byte, key string, e *Envelope) []byte {
	b = append(append(append(b, '"'), key...), `":`...)
	switch {
	case e.Ref != nil:
		return append(b, e.Ref...)
	case e.HasID:
		return strconv.AppendUint(b, e.ID, 10)
	}
	return append(b, "null"...)
}

func toRPC(e *Error) rpcError {
	code, ok := rpcCodes[e.Code]
	if !ok {
		code = rpcServerError
	}
	r := rpcError{Code: code, Message: e.Message}
	if r.Message == "" {
		r.Message = e.Code
	}
	if code != rpcParseError && code != rpcInvalidRequest {
		r.Data = &rpcData{e.Code, e.Details, e.RetryMS}
	}
	return r
}

// maxBatch bounds how many requests come in one message.
const maxBatch = 1000

// Split returns the requests of a batch, or nil if p is none. What is wrong with
// a batch as a whole is answered once.
func (jsonRPC) Split(p []byte) ([][]byte, error) {
	i := skipSpace(p, 0)
	if i >= len(p) || p[i] != '[' {
		return nil, nil
	}
	if !json.Valid(p) {
		return nil, errParse
	}
	var parts [][]byte
	for i = skipSpace(p, i+1); p[i] != ']'; {
		v := scanValue(p, i, 2)
		parts = append(parts, p[i:v:v])
		if i = skipSpace(p, v); p[i] == ',' {
			i = skipSpace(p, i+1)
		}
	}
	if n := len(parts); n == 0 || n > maxBatch {
		return nil, invalidRequest("a batch has 1 to " + strconv.Itoa(maxBatch) + " requests")
	}
	return parts, nil
}

// Join appends the replies to a batch.
func (jsonRPC) Join(b []byte, replies [][]byte) []byte {
	b = append(b, '[')
	for i, r := range replies {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r...)
	}
	return append(b, ']')
}
