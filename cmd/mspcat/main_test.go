package main

import (
	"os"
	"testing"

	"mesh.example/msp/mdpconn/mdptest"
)

// beMspcat is the environment variable that makes the test binary mspcat.
const beMspcat = "MSPCAT_TEST_BE_MSPCAT"

// TestMain is mspcat, and other programs, in the processes that tests start.
func TestMain(m *testing.M) {
	if os.Getenv(beServald) != "" {
		fakeServald(os.Getenv(beServald), os.Args[1:])
	}
	if os.Getenv(beLookout) != "" {
		lookout(os.Args[1:])
	}
	if os.Getenv(beMspcat) != "" {
		main()
	}
	mdptest.Main(m)
}
