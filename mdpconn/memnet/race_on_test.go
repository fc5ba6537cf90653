//go:build race

package memnet

// raceEnabled: under the race detector pools drop some of what they are given.
const raceEnabled = true
