package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"mesh.example/msp/mspnet"
)

// echo sends back what it reads.
func (t *trial) echo(conn *mspnet.Conn) error {
	defer conn.Close()
	_, err := io.Copy(conn, conn)
	return err
}

// streams sends the sample through a stream and, when it is there, back.
func (t *trial) streams(ctx context.Context) ([]*result, error) {
	there := &result{name: "stream there"}
	back := &result{name: "stream back"}
	arrived := make(chan time.Time, 1)
	conn, err := t.dialTo(ctx, tryStreamPort, func(conn *mspnet.Conn) (err error) {
		defer conn.Close()
		if there.bytes, there.got, err = receiveFrom(conn, t.bar); err != nil {
			return err
		}
		arrived <- time.Now()
		if back.sent, err = t.sample.sendTo(conn); err != nil {
			return err
		}
		return conn.CloseContext(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	defer conn.Close()

	start := time.Now()
	if there.sent, err = t.sample.sendTo(conn); err != nil {
		return nil, fmt.Errorf("stream there: %w", err)
	}
	if err := conn.CloseWrite(); err != nil {
		return nil, fmt.Errorf("stream there: %w", err)
	}
	var turn time.Time
	select {
	case turn = <-arrived:
	case err := <-t.served:
		return nil, fmt.Errorf("stream there: %w", err)
	}
	there.took = turn.Sub(start)
	if back.bytes, back.got, err = receiveFrom(conn, t.bar); err != nil {
		return nil, fmt.Errorf("stream back: %w", err)
	}
	back.took = time.Since(turn)
	if err := <-t.served; err != nil {
		return nil, fmt.Errorf("stream back: %w", err)
	}
	return []*result{there, back}, nil
}
