package deflate

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// name is the extension's registered name (RFC 7692 7).
const name = "permessage-deflate"

// config is an offer or a response, parsed.
type config struct {
	serverNoTakeover, clientNoTakeover bool
	serverBits                         int  // 0: absent
	clientBits                         int  // 0: absent, or without a value
	client                             bool // client_max_window_bits is present
}

// Accept chooses among a client's offers: the first that is valid and can be honoured. lines are the values of all its
// Sec-WebSocket-Extensions fields. response is what to answer with; when it is empty the connection goes without compression.
// An error means that the fields are malformed and the handshake has to be refused (RFC 6455 9.1).
func (p Policy) Accept(lines []string) (params Params, response string, err error) {
	list, err := parseExtensions(lines)
	if err != nil || p.Mode == Off {
		return Params{}, "", err
	}
	for _, ext := range list {
		if ext.name != name {
			continue
		}
		// An offer with anything wrong in it is declined (RFC 7692 7.1), and the next one is looked at.
		if offer, err := parseConfig(ext, true); err == nil {
			params, response = p.withDefaults().answer(offer)
			return params, response, nil
		}
	}
	return Params{}, "", nil
}

// answer accepts an offer. All of them can be honoured: this end's encoder keeps to any window.
func (p Policy) answer(offer config) (Params, string) {
	params := Params{
		// 7.1.1.1: an offered server_no_context_takeover has to be confirmed.
		ServerNoContextTakeover: offer.serverNoTakeover || p.Mode == NoTakeover,
		// 7.1.1.2: confirming the client's hint allows to forget its window.
		ClientNoContextTakeover: offer.clientNoTakeover || p.Mode == NoTakeover,
		ServerMaxWindowBits:     p.SendBits,
		ClientMaxWindowBits:     MaxWindowBits,
	}
	var b strings.Builder
	b.WriteString(name)
	if params.ServerNoContextTakeover {
		b.WriteString("; server_no_context_takeover")
	}
	if params.ClientNoContextTakeover {
		b.WriteString("; client_no_context_takeover")
	}
	if offer.serverBits != 0 {
		// 7.1.2.1 would let a server tell its window unasked; clients exist that fail then.
		params.ServerMaxWindowBits = min(offer.serverBits, p.SendBits)
		fmt.Fprintf(&b, "; server_max_window_bits=%d", params.ServerMaxWindowBits)
	}
	if offer.client {
		// 7.1.2.2: only a client that has offered it may be told a limit.
		hint := offer.clientBits
		if hint == 0 {
			hint = MaxWindowBits
		}
		if params.ClientMaxWindowBits = min(hint, p.ReceiveBits); params.ClientMaxWindowBits < MaxWindowBits {
			fmt.Fprintf(&b, "; client_max_window_bits=%d", params.ClientMaxWindowBits)
		}
	}
	return params, b.String()
}

// Offer returns the value of a client's Sec-WebSocket-Extensions field, "" when compression is off.
func (p Policy) Offer() string {
	if p.Mode == Off {
		return ""
	}
	offers := p.withDefaults().offers()
	s := make([]string, len(offers))
	for i, o := range offers {
		s[i] = o.String()
	}
	return strings.Join(s, ", ")
}

// offers are the client's offers, the best first. Servers exist that don't know server_max_window_bits: where a smaller
// window would be nice to have, the offer without it follows (RFC 7692 5.2, fallback).
func (p Policy) offers() []config {
	o := config{
		serverNoTakeover: p.Mode == NoTakeover,
		clientNoTakeover: p.Mode == NoTakeover,
		client:           true,
	}
	if p.SendBits < MaxWindowBits {
		o.clientBits = p.SendBits
	}
	if p.ReceiveBits == MaxWindowBits {
		return []config{o}
	}
	small := o
	small.serverBits = p.ReceiveBits
	return []config{small, o}
}

// String writes the configuration as an element of the field.
func (offer config) String() string {
	s := name
	if offer.serverNoTakeover {
		s += "; server_no_context_takeover"
	}
	if offer.clientNoTakeover {
		s += "; client_no_context_takeover"
	}
	if offer.serverBits != 0 {
		s += "; server_max_window_bits=" + strconv.Itoa(offer.serverBits)
	}
	if offer.client {
		s += "; client_max_window_bits"
		if offer.clientBits != 0 {
			s += "=" + strconv.Itoa(offer.clientBits)
		}
	}
	return s
}

// Confirm reads a server's response to Offer. ok is false when the server has declined. An error means that the
// response is not one to the offer, and names what is wrong: the client has to fail the connection (RFC 7692 7.1).
func (p Policy) Confirm(lines []string) (params Params, ok bool, err error) {
	list, err := parseExtensions(lines)
	if err != nil || len(list) == 0 {
		return Params{}, false, err
	}
	for _, ext := range list {
		if ext.name != name || p.Mode == Off {
			return Params{}, false, fmt.Errorf("extension %q was not offered (RFC 6455 4.1)", ext.name)
		}
	}
	if len(list) > 1 {
		return Params{}, false, errors.New(name + " is accepted twice (RFC 7692 5)")
	}
	response, err := parseConfig(list[0], false)
	if err != nil {
		return Params{}, false, err
	}
	p = p.withDefaults()
	for _, offer := range p.offers() {
		if params, err = offer.confirm(response, p.SendBits); err == nil {
			return params, true, nil
		}
	}
	return Params{}, false, err // the last offer asks for least, so its error is the telling one
}

// confirm returns what the response to this offer means.
func (offer config) confirm(response config, sendBits int) (Params, error) {
	switch {
	case offer.serverNoTakeover && !response.serverNoTakeover:
		return Params{}, errors.New("server_no_context_takeover was offered and is missing (RFC 7692 7.1.1.1)")
	case offer.serverBits != 0 && response.serverBits == 0:
		return Params{}, errors.New("server_max_window_bits was offered and is missing (RFC 7692 7.1.2.1)")
	case offer.serverBits != 0 && response.serverBits > offer.serverBits:
		return Params{}, fmt.Errorf("server_max_window_bits=%d is more than was offered (RFC 7692 7.1.2.1)", response.serverBits)
	case response.client && !offer.client:
		return Params{}, errors.New("client_max_window_bits was not offered (RFC 7692 7.1.2.2)")
	case offer.clientBits != 0 && response.clientBits > offer.clientBits:
		return Params{}, fmt.Errorf("client_max_window_bits=%d is more than was offered (RFC 7692 7.1.2.2)", response.clientBits)
	}
	params := Params{
		ServerNoContextTakeover: response.serverNoTakeover,
		ClientNoContextTakeover: response.clientNoTakeover || offer.clientNoTakeover,
		ServerMaxWindowBits:     MaxWindowBits,
		ClientMaxWindowBits:     sendBits,
	}
	if response.serverBits != 0 {
		params.ServerMaxWindowBits = response.serverBits
	}
	if response.client {
		params.ClientMaxWindowBits = min(sendBits, response.clientBits)
	}
	return params, nil
}

// parseConfig reads the parameters of an offer or of a response (RFC 7692 7.1). An error names the parameter.
func parseConfig(ext extension, offer bool) (c config, err error) {
	for i, p := range ext.params {
		for _, before := range ext.params[:i] {
			if before.name == p.name {
				return c, fmt.Errorf("parameter %s stands twice (RFC 7692 7)", p.name)
			}
		}
		switch p.name {
		case "server_no_context_takeover":
			c.serverNoTakeover, err = true, p.noValue()
		case "client_no_context_takeover":
			c.clientNoTakeover, err = true, p.noValue()
		case "server_max_window_bits":
			c.serverBits, err = p.windowBits()
		case "client_max_window_bits":
			c.client = true
			if p.hasValue || !offer {
				c.clientBits, err = p.windowBits()
			}
		default:
			err = fmt.Errorf("parameter %q is unknown (RFC 7692 7)", p.name)
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

func (p param) noValue() error {
	if p.hasValue {
		return fmt.Errorf("%s has a value (RFC 7692 7.1.1)", p.name)
	}
	return nil
}

// windowBits is a decimal number from 8 to 15 without leading zeros (RFC 7692 7.1.2).
func (p param) windowBits() (int, error) {
	n, err := strconv.Atoi(p.value)
	if err != nil || n < MinWindowBits || n > MaxWindowBits || strconv.Itoa(n) != p.value {
		return 0, fmt.Errorf("%s=%q is not a number from 8 to 15 (RFC 7692 7.1.2)", p.name, p.value)
	}
	return n, nil
}
