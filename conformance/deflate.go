package conformance

import "errors"

type deflateTest struct{}

func (*deflateTest) offerHeader() string { return "" }

type deflateCodec struct{}

func (*deflateCodec) decode(b []byte, c bool) ([]byte, error)               { return nil, errors.New("x") }
func (*deflateCodec) encode(b []byte) []byte                                { return nil }
func (*deflateCodec) ratios() (a, b float64)                                { return }
func clientCodec(h []string, o *deflateTest) (*deflateCodec, error)         { return nil, nil }
func deflateCases() []*Case                                                 { return nil }
func extraCases() []*Case                                                   { return nil }
func serverCodec(h []string, o *deflateTest) (string, *deflateCodec, error) { return "", nil, nil }
