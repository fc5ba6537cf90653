package session

import (
	"testing"

	"mesh.example/msp/mdpconn/mdptest"
)

func TestMain(m *testing.M) { mdptest.Main(m) }
