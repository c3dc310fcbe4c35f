package nats

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Messages are read from the stream by its API's requests, not by nats.go's
// Stream: that would ask any replica, which may be behind, and a client would be
// told that it has missed nothing. The last message, and whether the one at a
// client's position is still there, is the leader's to say. A batch may come from
// a replica: what it has is the beginning of what the leader has.

// getRequest is the body of both requests.
type getRequest struct {
	Seq     uint64 `json:"seq,omitempty"`
	NextFor string `json:"next_by_subj,omitempty"` // the first message with this subject, from Seq on
	LastFor string `json:"last_by_subj,omitempty"`
	Batch   int    `json:"batch,omitempty"`
}

type storedMsg struct {
	Subject string `json:"subject"`
	Seq     uint64 `json:"seq"`
	Data    []byte `json:"data"`
}

// getTimeout is how long an answer is waited for: nothing else tells that a server
// has died with the question.
const getTimeout = 2 * time.Second

// get asks the stream's leader for a message. A message that isn't there is
// jetstream.ErrMsgNotFound.
func (s *streamState) get(ctx context.Context, r getRequest) (*storedMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	m, err := s.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+s.name, body)
	if err != nil {
		return nil, err
	}
	var reply struct {
		Error   *jetstream.APIError `json:"error"`
		Message *storedMsg          `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &reply); err != nil {
		return nil, err
	}
	switch {
	case reply.Error != nil && reply.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, jetstream.ErrMsgNotFound
	case reply.Error != nil:
		return nil, reply.Error
	case reply.Message == nil:
		return nil, fmt.Errorf("stream %s: a reply without a message", s.name)
	}
	return reply.Message, nil
}

// getMany asks any server that has the stream for up to n messages with a subject,
// from seq on. There may be more than it returns, but none between.
func (s *streamState) getMany(ctx context.Context, subject string, seq uint64, n int) (ms []*storedMsg, err error) {
	body, err := json.Marshal(getRequest{Seq: seq, NextFor: subject, Batch: n})
	if err != nil {
		return nil, err
	}
	inbox := nats.NewInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only with the connection
	if err := s.nc.PublishRequest("$JS.API.DIRECT.GET."+s.name, inbox, body); err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, getTimeout)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(within)
		if err != nil {
			return nil, err
		}
		offset, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
		if err != nil { // the end of the batch, or whatever else: get will find out
			return ms, nil
		}
		ms = append(ms, &storedMsg{m.Header.Get("Nats-Subject"), offset, m.Data})
		if m.Header.Get("Nats-Num-Pending") == "" { // an older server's, which knows no batches
			return ms, nil
		}
	}
}
