package stocktest

import (
	"encoding/hex"
	"testing"

	"mesh.example/msp/engine/msp"
)

// A vecMSP is an MSP packet as the record decodes it.
type vecMSP struct {
	Flags   byte
	Ack     *uint16
	Seq     *uint16
	Payload *string // hex
}

// Every recorded MSP packet decodes to what the record says, and that encodes to
// the recorded bytes: those in enciphered overlay packets, and those of clients.
func TestVectorsMSP(t *testing.T) {
	var file struct {
		Packets []struct {
			N       int
			Decoded struct {
				Payloads []struct {
					MDP *struct {
						Data string
						MSP  *vecMSP
					}
				}
			}
		}
	}
	readJSON(t, "mdpconn/overlay/testdata/overlay.json", &file)
	record := ReadRecord(t)
	n := 0
	for i, p := range file.Packets {
		heard, err := record.open(&record.Packets[i])
		if err != nil || len(heard) != len(p.Decoded.Payloads) {
			t.Fatalf("packet %d: %d payloads, %v", p.N, len(heard), err)
		}
		for k, pl := range p.Decoded.Payloads {
			if pl.MDP != nil && pl.MDP.MSP != nil {
				n++
				wantMSP(t, p.N, heard[k].Data, pl.MDP.MSP)
			}
		}
	}
	var clients struct {
		Sessions []struct {
			Endpoints map[string][]struct {
				Hex string
				MSP *vecMSP
			}
		} `json:"msp_sessions"`
	}
	readJSON(t, "mdpconn/servald/testdata/mdp-client.json", &clients)
	m := 0
	const header = 75
	for _, s := range clients.Sessions {
		for _, datagrams := range s.Endpoints {
			for i, d := range datagrams {
				if d.MSP != nil {
					m++
					wantMSP(t, i, unhex(t, d.Hex)[header:], d.MSP)
				}
			}
		}
	}
	if n != 86 || m != 109 {
		t.Errorf("%d MSP packets of the overlay and %d of clients, want 86 and 109", n, m)
	}
	t.Logf("%d MSP packets of overlay.json and %d of mdp-client.json, both ways", n, m)
}

func wantMSP(t *testing.T, n int, b []byte, want *vecMSP) {
	t.Helper()
	p, err := ParseMSP(b)
	if err != nil {
		t.Errorf("%d: %v", n, err)
		return
	}
	made := msp.Packet{Kind: msp.KindFlags, Flags: msp.Flags(want.Flags)}
	if want.Ack != nil {
		made.Kind, made.Ack = msp.KindAck, msp.Seq(*want.Ack)
	}
	if want.Seq != nil {
		made.Kind, made.Seq = msp.KindMessage, msp.Seq(*want.Seq)
		if want.Payload != nil {
			made.Payload = unhex(t, *want.Payload)
		}
	}
	if p.String() != made.String() || string(p.Payload) != string(made.Payload) {
		t.Errorf("%d: decoded %v, recorded is %v", n, p, made)
	}
	if again := msp.AppendPacket(nil, made); string(again) != string(b) {
		t.Errorf("%d: encoded %s, recorded is %s", n, hex.EncodeToString(again), hex.EncodeToString(b))
	}
}
