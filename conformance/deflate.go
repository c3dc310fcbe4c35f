package conformance

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	windowed "github.com/klauspost/compress/flate"
)

// deflateTest is what the suite negotiates of permessage-deflate (RFC 7692): as a client it makes one offer of each wish,
// as a server it grants the first wish that a client's offers allow. Everything that the peer may want is offered.
type deflateTest struct {
	wishes []deflateWish
}

// deflateWish is a restriction on how the peer compresses.
type deflateWish struct {
	noTakeover bool // no_context_takeover
	bits       int  // max_window_bits; 0: none
}

func (w deflateWish) String() string {
	var parts []string
	if w.noTakeover {
		parts = append(parts, "no context takeover")
	}
	if w.bits > 0 {
		parts = append(parts, fmt.Sprintf("a window of %d bits", w.bits))
	}
	if len(parts) == 0 {
		return "no restriction"
	}
	return strings.Join(parts, " and ")
}

// side is what one endpoint agreed to do when it compresses.
type side struct {
	noTakeover bool
	bits       int // 0: 15
}

// deflateParams are the parameters of an offer or a response. A client_max_window_bits without a value is a clientBits
// of anyBits.
type deflateParams struct {
	server, client side
}

const anyBits = -1

const extensionName = "permessage-deflate"

func (d *deflateTest) offerHeader() string {
	offers := make([]string, len(d.wishes))
	for i, w := range d.wishes {
		offers[i] = deflateParams{server: side(w), client: side{noTakeover: true, bits: anyBits}}.String()
	}
	return strings.Join(offers, ", ")
}

func (p deflateParams) String() string {
	s := extensionName
	for _, end := range []struct {
		name string
		side
	}{{"server", p.server}, {"client", p.client}} {
		if end.noTakeover {
			s += "; " + end.name + "_no_context_takeover"
		}
		switch {
		case end.bits == anyBits:
			s += "; " + end.name + "_max_window_bits"
		case end.bits > 0:
			s += fmt.Sprintf("; %s_max_window_bits=%d", end.name, end.bits)
		}
	}
	return s
}

// parseExtensions returns the permessage-deflate elements of the header's values, and how many others there are.
func parseExtensions(values []string) (found []deflateParams, others int, err error) {
	for element := range strings.SplitSeq(strings.Join(values, ","), ",") {
		parts := strings.Split(element, ";")
		switch strings.TrimSpace(parts[0]) {
		case "":
			continue
		case extensionName:
		default:
			others++
			continue
		}
		p, err := parseParams(parts[1:])
		if err != nil {
			return nil, 0, err
		}
		found = append(found, p)
	}
	return found, others, nil
}

func parseParams(params []string) (p deflateParams, err error) {
	var seen []string
	for _, param := range params {
		name, value, hasValue := strings.Cut(param, "=")
		name, value = strings.TrimSpace(name), strings.Trim(strings.TrimSpace(value), `"`)
		if slices.Contains(seen, name) {
			return p, fmt.Errorf("%s: %s twice", extensionName, name)
		}
		seen = append(seen, name)
		end, rest := &p.server, strings.TrimPrefix(name, "server_")
		if after, ok := strings.CutPrefix(name, "client_"); ok {
			end, rest = &p.client, after
		}
		switch {
		case rest == name:
			return p, fmt.Errorf("%s: parameter %q", extensionName, name)
		case rest == "no_context_takeover" && !hasValue:
			end.noTakeover = true
		case rest == "max_window_bits" && !hasValue && end == &p.client:
			end.bits = anyBits
		case rest == "max_window_bits":
			if end.bits, err = strconv.Atoi(value); err != nil || end.bits < 8 || end.bits > 15 || value[0] == '0' {
				return p, fmt.Errorf("%s: %s of %q", extensionName, name, value)
			}
		default:
			return p, fmt.Errorf("%s: parameter %q", extensionName, strings.TrimSpace(param))
		}
	}
	return p, nil
}

// clientCodec checks a server's response to the offers of d and returns what makes of it; nil: the server declined.
func clientCodec(values []string, d *deflateTest) (*deflateCodec, error) {
	found, others, err := parseExtensions(values)
	switch {
	case err != nil:
		return nil, err
	case others > 0 || len(found) > 0 && d == nil:
		return nil, fmt.Errorf("the response has extensions that were not offered: %q", values)
	case len(found) == 0:
		return nil, nil
	case len(found) > 1 || found[0].client.bits == anyBits:
		return nil, fmt.Errorf("the response has Sec-WebSocket-Extensions: %q", values)
	}
	p := found[0]
	if !slices.ContainsFunc(d.wishes, p.server.grants) {
		return nil, fmt.Errorf("the response %q grants none of the offers %q", p, d.offerHeader())
	}
	return newCodec(p.client, p.server)
}

// grants reports whether a peer that compresses as s says does what w wants.
func (s side) grants(w deflateWish) bool {
	return (s.noTakeover || !w.noTakeover) && (w.bits == 0 || s.bits > 0 && s.bits <= w.bits)
}

// serverCodec answers a client's offers. Without an agreement all results are zero.
func serverCodec(values []string, d *deflateTest) (response string, codec *deflateCodec, err error) {
	offers, _, err := parseExtensions(values)
	if err != nil || d == nil {
		return "", nil, err
	}
	for _, w := range d.wishes {
		for _, offer := range offers {
			if w.bits > 0 && offer.client.bits == 0 {
				continue // the client did not say that it can limit its window
			}
			p := deflateParams{server: offer.server, client: side(w)}
			if w.bits > 0 && offer.client.bits > 0 {
				p.client.bits = min(w.bits, offer.client.bits)
			}
			codec, err := newCodec(p.server, p.client)
			return p.String(), codec, err
		}
	}
	return "", nil, nil
}

// deflateCodec compresses what is sent and inflates what is received.
type deflateCodec struct {
	out        compressor
	compressed bytes.Buffer
	forget     bool
	in         inflater

	plainOut, wireOut, plainIn, wireIn int // bytes of all messages
}

type compressor interface {
	io.Writer
	Flush() error
	Reset(io.Writer)
}

// newCodec compresses as ours says and expects the peer to do as theirs says.
func newCodec(ours, theirs side) (*deflateCodec, error) {
	c := &deflateCodec{forget: ours.noTakeover}
	c.in = inflater{window: 1 << 15, forget: theirs.noTakeover}
	if theirs.bits > 0 {
		c.in.window = 1 << theirs.bits
	}
	var err error
	if ours.bits == 0 || ours.bits == 15 {
		c.out, err = flate.NewWriter(&c.compressed, flate.BestSpeed)
	} else {
		c.out, err = windowed.NewWriterWindow(&c.compressed, 1<<ours.bits)
	}
	return c, err
}

// encode compresses a message. The result is valid until the next call.
func (c *deflateCodec) encode(message []byte) []byte {
	c.compressed.Reset()
	if c.forget {
		c.out.Reset(&c.compressed)
	}
	_, err := c.out.Write(message)
	if err := errors.Join(err, c.out.Flush()); err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	b := bytes.TrimSuffix(c.compressed.Bytes(), []byte(syncTail))
	c.plainOut += len(message)
	c.wireOut += len(b)
	return b
}

// decode returns the plain form of a message that the peer sent, compressed or not.
func (c *deflateCodec) decode(message []byte, compressed bool) ([]byte, error) {
	c.wireIn += len(message)
	plain := message
	if compressed {
		var err error
		if plain, err = c.in.message(message); err != nil {
			return nil, err
		}
	}
	c.plainIn += len(plain)
	return plain, nil
}

// ratios are compressed to plain bytes, sent and received.
func (c *deflateCodec) ratios() (sent, received float64) {
	if c.plainOut == 0 || c.plainIn == 0 {
		return 0, 0
	}
	return float64(c.wireOut) / float64(c.plainOut), float64(c.wireIn) / float64(c.plainIn)
}
