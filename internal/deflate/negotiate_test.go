package deflate_test

import (
	"strings"
	"testing"

	"github.com/tidewire/ws/internal/deflate"
)

var (
	takeover   = deflate.Policy{Mode: deflate.Takeover}
	noTakeover = deflate.Policy{Mode: deflate.NoTakeover}
	small      = deflate.Policy{Mode: deflate.Takeover, SendBits: 11, ReceiveBits: 12}
)

func params(serverNo, clientNo bool, serverBits, clientBits int) deflate.Params {
	return deflate.Params{ServerNoContextTakeover: serverNo, ClientNoContextTakeover: clientNo,
		ServerMaxWindowBits: serverBits, ClientMaxWindowBits: clientBits}
}

func TestAccept(t *testing.T) {
	const pmd = "permessage-deflate"
	const both = "; server_no_context_takeover; client_no_context_takeover"
	for _, tt := range []struct {
		why      string
		policy   deflate.Policy
		lines    string // separated by newlines
		response string // "" is declined, "!" is refused
		params   deflate.Params
	}{
		{"no offer", takeover, "", "", params(false, false, 0, 0)},
		{"another extension", takeover, "x-webkit-deflate-frame", "", params(false, false, 0, 0)},
		{"off", deflate.Policy{}, pmd, "", params(false, false, 0, 0)},
		{"plain, 7", takeover, pmd, pmd, params(false, false, 15, 15)},
		{"own limit is not told unasked, 7.1.2.1", small, pmd, pmd, params(false, false, 11, 15)},
		{"server's wish, 7.1.1", noTakeover, pmd, pmd + both, params(true, true, 15, 15)},
		{"client's wishes, 7.1.1", takeover, pmd + "; client_no_context_takeover; server_no_context_takeover", pmd + both, params(true, true, 15, 15)},
		{"server only, 7.1.1.1", takeover, pmd + ";server_no_context_takeover", pmd + "; server_no_context_takeover", params(true, false, 15, 15)},
		{"client only, 7.1.1.2", takeover, pmd + ";client_no_context_takeover", pmd + "; client_no_context_takeover", params(false, true, 15, 15)},
		{"server window, 7.1.2.1", takeover, pmd + "; server_max_window_bits=10", pmd + "; server_max_window_bits=10", params(false, false, 10, 15)},
		{"server window of 8", takeover, pmd + "; server_max_window_bits=8", pmd + "; server_max_window_bits=8", params(false, false, 8, 15)},
		{"smaller than asked", small, pmd + "; server_max_window_bits=15", pmd + "; server_max_window_bits=11", params(false, false, 11, 15)},
		{"client window, Chromium's offer, 7.1.2.2", takeover, pmd + "; client_max_window_bits", pmd, params(false, false, 15, 15)},
		{"limited", small, pmd + "; client_max_window_bits", pmd + "; client_max_window_bits=12", params(false, false, 11, 12)},
		{"hint below the limit", small, pmd + "; client_max_window_bits=9", pmd + "; client_max_window_bits=9", params(false, false, 11, 9)},
		{"hint above the limit", small, pmd + "; client_max_window_bits=14", pmd + "; client_max_window_bits=12", params(false, false, 11, 12)},
		{"quoted value, RFC 6455 9.1", takeover, pmd + `; server_max_window_bits="1\0"`, pmd + "; server_max_window_bits=10", params(false, false, 10, 15)},
		{"no space", small, pmd + ";client_max_window_bits;server_max_window_bits=9", pmd + "; server_max_window_bits=9; client_max_window_bits=12", params(false, false, 9, 12)},
		{"space and empty elements, RFC 9110 5.6.1", takeover, " ,\t, " + pmd + " \t; server_no_context_takeover ,, ", pmd + "; server_no_context_takeover", params(true, false, 15, 15)},
		{"behind others", takeover, `foo; a=b; c="d", bar, ` + pmd, pmd, params(false, false, 15, 15)},
		{"several lines, RFC 9110 5.3", takeover, "foo\n" + pmd + "\nbar", pmd, params(false, false, 15, 15)},
		{"the first offer wins, 5", takeover, pmd + "; server_max_window_bits=10, " + pmd, pmd + "; server_max_window_bits=10", params(false, false, 10, 15)},

		// An invalid offer is declined, the next one counts (7.1).
		{"unknown parameter", takeover, pmd + "; foo, " + pmd + ";server_no_context_takeover", pmd + "; server_no_context_takeover", params(true, false, 15, 15)},
		{"unknown parameter alone", takeover, pmd + "; foo=1", "", params(false, false, 0, 0)},
		{"twice", takeover, pmd + "; server_max_window_bits=10; server_max_window_bits=10", "", params(false, false, 0, 0)},
		{"twice, flag", takeover, pmd + "; client_no_context_takeover; client_no_context_takeover", "", params(false, false, 0, 0)},
		{"twice, with and without value", takeover, pmd + "; client_max_window_bits; client_max_window_bits=10", "", params(false, false, 0, 0)},
		{"flag with a value", takeover, pmd + "; server_no_context_takeover=1", "", params(false, false, 0, 0)},
		{"other flag with a value", takeover, pmd + `; client_no_context_takeover="true"`, "", params(false, false, 0, 0)},
		{"server bits without value", takeover, pmd + "; server_max_window_bits", "", params(false, false, 0, 0)},
		{"7", takeover, pmd + "; server_max_window_bits=7", "", params(false, false, 0, 0)},
		{"16", takeover, pmd + "; client_max_window_bits=16", "", params(false, false, 0, 0)},
		{"leading zero", takeover, pmd + "; client_max_window_bits=08", "", params(false, false, 0, 0)},
		{"sign", takeover, pmd + "; server_max_window_bits=+9", "", params(false, false, 0, 0)},
		{"no number", takeover, pmd + "; server_max_window_bits=x", "", params(false, false, 0, 0)},
		{"huge", takeover, pmd + "; server_max_window_bits=99999999999999999999", "", params(false, false, 0, 0)},

		// Malformed fields are refused, whatever they offer (RFC 6455 9.1).
		{"no name", takeover, "; foo", "!", params(false, false, 0, 0)},
		{"no parameter", takeover, pmd + ";", "!", params(false, false, 0, 0)},
		{"no value", takeover, pmd + "; server_max_window_bits=", "!", params(false, false, 0, 0)},
		{"no parameter's name", takeover, pmd + "; =10", "!", params(false, false, 0, 0)},
		{"open quote", takeover, pmd + `; server_max_window_bits="10`, "!", params(false, false, 0, 0)},
		{"empty quote", takeover, pmd + `; server_max_window_bits=""`, "!", params(false, false, 0, 0)},
		{"quoted comma", takeover, pmd + `; foo="a,b"`, "!", params(false, false, 0, 0)},
		{"two names", takeover, pmd + " foo", "!", params(false, false, 0, 0)},
		{"a byte that is no token's", takeover, pmd + "; f\x00o", "!", params(false, false, 0, 0)},
		{"malformed behind a good one", takeover, pmd + "\n=", "!", params(false, false, 0, 0)},
		{"malformed with compression off", deflate.Policy{}, pmd + ";;", "!", params(false, false, 0, 0)},
	} {
		got, response, err := tt.policy.Accept(strings.Split(tt.lines, "\n"))
		if err != nil {
			response = "!"
		}
		if got != tt.params || response != tt.response {
			t.Errorf("%s: %q: answered %q with %+v, %v", tt.why, tt.lines, response, got, err)
		}
	}
}

func TestOffer(t *testing.T) {
	for want, policy := range map[string]deflate.Policy{
		"": {},
		"permessage-deflate; client_max_window_bits":                                                                              takeover,
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits":                      noTakeover,
		"permessage-deflate; server_max_window_bits=12; client_max_window_bits=11, permessage-deflate; client_max_window_bits=11": small,
		"permessage-deflate; server_max_window_bits=8; client_max_window_bits, permessage-deflate; client_max_window_bits":        {Mode: deflate.Takeover, ReceiveBits: 8},
	} {
		if got := policy.Offer(); got != want {
			t.Errorf("%+v offers %q, want %q", policy, got, want)
		}
	}
}

func TestConfirm(t *testing.T) {
	const pmd = "permessage-deflate"
	for _, tt := range []struct {
		why      string
		policy   deflate.Policy
		response string
		params   deflate.Params
		err      string // a part of it; "-" is declined
	}{
		{"declined", takeover, "", deflate.Params{}, "-"},
		{"accepted", takeover, pmd, params(false, false, 15, 15), ""},
		{"own window", small, pmd, params(false, false, 15, 11), ""},
		{"server keeps to the wish", small, pmd + "; server_max_window_bits=12", params(false, false, 12, 11), ""},
		{"server keeps to less", small, pmd + "; server_max_window_bits=9", params(false, false, 9, 11), ""},
		{"server knows the fallback only", small, pmd + "; server_max_window_bits=14", params(false, false, 14, 11), ""},
		{"unasked server parameters, 7.1.1.1 and 7.1.2.1", takeover, pmd + "; server_no_context_takeover; server_max_window_bits=10", params(true, false, 10, 15), ""},
		{"unasked client_no_context_takeover, 7.1.1.2", takeover, pmd + "; client_no_context_takeover", params(false, true, 15, 15), ""},
		{"client window, 7.1.2.2", takeover, pmd + `; client_max_window_bits="10"`, params(false, false, 15, 10), ""},
		{"no takeover", noTakeover, pmd + "; server_no_context_takeover", params(true, true, 15, 15), ""},

		{"another extension", takeover, "foo", deflate.Params{}, `"foo" was not offered`},
		{"not offered at all", deflate.Policy{}, pmd, deflate.Params{}, "not offered"},
		{"another one beside it", takeover, pmd + ", foo", deflate.Params{}, `"foo" was not offered`},
		{"twice", takeover, pmd + ", " + pmd, deflate.Params{}, "twice"},
		{"parameter twice", takeover, pmd + "; server_max_window_bits=9; server_max_window_bits=9", deflate.Params{}, "server_max_window_bits stands twice"},
		{"unknown parameter", takeover, pmd + "; level=9", deflate.Params{}, `"level"`},
		{"flag with value", takeover, pmd + "; server_no_context_takeover=1", deflate.Params{}, "server_no_context_takeover has a value"},
		{"client bits without value, 7.1.2.2", takeover, pmd + "; client_max_window_bits", deflate.Params{}, "client_max_window_bits"},
		{"server bits without value", takeover, pmd + "; server_max_window_bits", deflate.Params{}, "server_max_window_bits"},
		{"server bits 7", takeover, pmd + "; server_max_window_bits=7", deflate.Params{}, "server_max_window_bits"},
		{"client bits 16", takeover, pmd + "; client_max_window_bits=16", deflate.Params{}, "client_max_window_bits"},
		{"client bits above the hint", small, pmd + "; client_max_window_bits=12", deflate.Params{}, "client_max_window_bits=12 is more"},
		{"no_context_takeover ignored, 7.1.1.1", noTakeover, pmd, deflate.Params{}, "server_no_context_takeover was offered"},
		{"malformed", takeover, pmd + ";", deflate.Params{}, "malformed"},
	} {
		got, ok, err := tt.policy.Confirm(strings.Split(tt.response, "\n"))
		wantErr := tt.err != "" && tt.err != "-"
		if got != tt.params || ok != (tt.err == "") || (err != nil) != wantErr || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q: %+v, %v, %v", tt.why, tt.response, got, ok, err)
		}
	}
}

// FuzzNegotiate: whatever a client offers, an answer is one that this package's own client would take for that offer,
// and whatever a server answers, what comes of it is in range.
func FuzzNegotiate(f *testing.F) {
	f.Add("permessage-deflate; client_max_window_bits", uint8(2), uint8(0), uint8(0))
	f.Add(`permessage-deflate; server_max_window_bits="10", foo`, uint8(1), uint8(9), uint8(12))
	f.Add("permessage-deflate; client_no_context_takeover; client_max_window_bits=8", uint8(2), uint8(8), uint8(15))
	f.Fuzz(func(t *testing.T, line string, mode, send, receive uint8) {
		policy := deflate.Policy{Mode: deflate.Mode(mode % 3), SendBits: int(send), ReceiveBits: int(receive)}
		p, response, err := policy.Accept([]string{line})
		checkParams(t, p, response != "", policy)
		if response != "" {
			if err != nil || policy.Mode == deflate.NoTakeover && !(p.ServerNoContextTakeover && p.ClientNoContextTakeover) {
				t.Errorf("%+v answers %q to %q: %v", policy, response, line, err)
			}
			if _, _, err := policy.Accept([]string{response}); err != nil {
				t.Errorf("%q is malformed", response)
			}
		}
		p, ok, _ := policy.Confirm([]string{line})
		checkParams(t, p, ok, policy)

		// The two ends of one policy always find together.
		served, response, err := policy.Accept([]string{policy.Offer()})
		agreed, ok, err2 := policy.Confirm([]string{response})
		if served.ServerMaxWindowBits <= agreed.ServerMaxWindowBits { // it may do with less, and keep that to itself
			served.ServerMaxWindowBits = agreed.ServerMaxWindowBits
		}
		if err != nil || err2 != nil || ok != (policy.Mode != deflate.Off) || served != agreed {
			t.Errorf("%+v: server has %+v, client %+v, %v %v %v", policy, served, agreed, ok, err, err2)
		}
	})
}

func checkParams(t *testing.T, p deflate.Params, ok bool, policy deflate.Policy) {
	t.Helper()
	inRange := func(bits int) bool { return deflate.MinWindowBits <= bits && bits <= deflate.MaxWindowBits }
	if ok && !(inRange(p.ServerMaxWindowBits) && inRange(p.ClientMaxWindowBits)) || !ok && p != (deflate.Params{}) {
		t.Errorf("%+v: %v, %+v", policy, ok, p)
	}
}
