//go:build !race

package mspnet_test

const raceEnabled = false
