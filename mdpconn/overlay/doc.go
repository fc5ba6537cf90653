// Package overlay is the codec of the Serval mesh overlay: it parses and
// appends every structure that a direct neighbour of a servald has to speak.
// It is for those who write a node, a tap or a test; an application wants
// package mdpconn, which is built on it.
//
// The nouns are those of docs/overlay.md, which the comments here cite by
// section. A UDP payload is a [Packet]: an [Envelope] and any number of
// [Payload] values, each with up to three [Address] values and a body. Most
// addresses are not SIDs but references into what was said before them, so
// that parsing and appending both carry a [Context].
//
// # Parsing
//
// Parsers take any bytes whatever and give a value or an error; they do not
// panic. They do not allocate, save for errors, sign keys ([SIDFromSignKey]) and
// where said. Slices in a parsed value alias the input and are valid as long as
// it is.
//
//	var p overlay.Packet
//	if err := p.Parse(buf, overlay.Context{Resolver: known}); err != nil {
//		return err
//	}
//	var pl overlay.Payload
//	for p.Next(&pl) {
//		if err := pl.Check(); err != nil {
//			continue // the payloads after it are still good
//		}
//		// …
//	}
//	err := p.Err()
//
// # Appending
//
// Encoders have the form AppendX(dst, …) ([]byte, error) and write behind
// dst. On error the returned slice is dst as it was, and the context too. They
// refuse what ends a stock servald (docs/overlay.md §11), with an error that
// names the value.
//
//	ctx := overlay.Context{}
//	b, err := overlay.AppendEnvelope(buf[:0], &env, &ctx)
//	b, err = overlay.AppendPayload(b, &pl, &ctx)
//
// A Context is a plain value: who wants to take the last payload back, because
// the packet has become too long, keeps a copy of it and the old length.
//
// # Concurrency
//
// Nothing here has hidden state. Values are not safe for use by several
// goroutines at once unless all only read; functions may be called from
// anywhere.
//
// # Limitations
//
// The package keeps no routes, queues, timers or keys. Rhizome (type 0x50),
// VoMP, DNA lookup and the directory service are passed as raw bytes. Bodies of
// 1200 bytes and more are parsed but never appended.
package overlay
